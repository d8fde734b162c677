import { parseArgs } from "node:util";
import { breaks } from "./attack/breaks.js";
import { isState, type StateName, states } from "./attack/states.js";
import { UsageError } from "./usage.js";

export const attackUsage = `usage: npm run test:attack -- [options]

Attacks a gateway from everywhere at once: tenants' hosts, outsiders on the uplink and on the underlay, and hosts of networks
that xgw knows nothing of send whatever they like. Every packet says who sent it, and what comes out of the gateway must be
allowed to that sender by the config. Each seed is other packets and another state of the gateway. Runs in a VM where this
kernel lacks what the gateway needs.

  --seed S         the first seed (default: another one each time)
  --seeds N        how many, counted up from the first (default 50)
  --packets N      packets in all (default 400 a seed)
  --state NAME     all seeds in this state (--list names them)
  --only N         the one packet with this number of each seed
  --break NAME,…   then break the gateway in these ways (--list names them), one after the other, and see that each is noticed
                   (default: in all of them; none: in no way)
  --kept           the seeds that once failed, too
  --report FILE    write the results as JSON, too
  --kernel NAME    always in a VM, with this kernel of vm/kernels.json
  --list           states, and ways to break a gateway
  --help
`;

export interface AttackArgs {
  readonly seed: number;
  readonly seeds: number;
  /** In all. */
  readonly packets: number;
  readonly state: StateName | undefined;
  readonly only: number | undefined;
  /** Names of the ways in which the gateway is broken in the end. */
  readonly broken: readonly string[];
  readonly kept: boolean;
  readonly report: string | undefined;
  readonly kernel: string | undefined;
  readonly list: boolean;
  readonly help: boolean;
}

const packetsOfASeed = 400;
/** An IP id has as many numbers, but for those of a flood. */
const packetsMax = 60_000;

/** @throws UsageError */
export function parseAttackArgs(argv: readonly string[]): AttackArgs {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seed: { type: "string" },
        seeds: { type: "string", default: "50" },
        packets: { type: "string" },
        state: { type: "string" },
        only: { type: "string" },
        break: { type: "string", default: breaks.map(({ name }) => name).join(",") },
        kept: { type: "boolean", default: false },
        report: { type: "string" },
        kernel: { type: "string" },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const number = (name: string, text: string) => {
      if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a number, not ${JSON.stringify(text)}`);
      return Number(text);
    };
    const named = <T extends string>(name: string, text: string, known: readonly { readonly name: string }[]) => {
      if (!known.some((each) => each.name === text))
        throw new Error(`--${name} knows no ${JSON.stringify(text)}: see --list`);
      return text as T;
    };
    const seeds = number("seeds", values.seeds);
    const packets = values.packets === undefined ? seeds * packetsOfASeed : number("packets", values.packets);
    if (packets < seeds) throw new Error(`--packets ${packets} are fewer than --seeds ${seeds}`);
    if (packets > seeds * packetsMax) throw new Error(`a seed has ${packetsMax} packets at most`);
    if (values.state !== undefined && !isState(values.state)) named("state", values.state, states);
    return {
      // The first of a site, so that as few as possible are built.
      seed: values.seed === undefined ? states.length * (Date.now() % 100_000_007) : number("seed", values.seed),
      seeds,
      packets,
      state: values.state === undefined ? undefined : named<StateName>("state", values.state, states),
      only: values.only === undefined ? undefined : number("only", values.only),
      broken: values.break === "none" ? [] : values.break.split(",").map((name) => named("break", name, breaks)),
      kept: values.kept,
      report: values.report,
      kernel: values.kernel,
      list: values.list,
      help: values.help,
    };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
