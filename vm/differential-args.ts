import { parseArgs } from "node:util";
import { UsageError } from "./usage.js";

export const differentialUsage = `usage: npm run test:differential -- [options]

Sends random and adversarial packets through a gateway, once with XDP and once without, and compares what leaves, byte by
byte. Each seed is another gateway with other connections and packets. Runs in a VM where this kernel lacks what the
gateway needs.

  --seed S         the first seed (default: another one each time)
  --seeds N        how many, counted up from the first (default 1)
  --packets N      packets in all (default 400 a seed)
  --only NAME,…    with one of these things done to every packet (--list names them)
  --tenants N      instead: so many tenants with the identical tuple at once; no packet may reach another tenant
  --explain        each packet is explained first (xgw explain) and sent then: verdict, reason, NAT and bytes have to be those told
  --kept           the seeds that once failed, too
  --report FILE    write the results as JSON, too
  --kernel NAME    always in a VM, with this kernel of vm/kernels.json
  --list           what is done to packets, and which differences are none
  --help
`;

export interface DifferentialArgs {
  readonly seed: number;
  readonly seeds: number;
  /** In all. */
  readonly packets: number;
  readonly only: readonly string[] | undefined;
  readonly explain: boolean;
  readonly kept: boolean;
  readonly tenants: number | undefined;
  readonly report: string | undefined;
  readonly kernel: string | undefined;
  readonly list: boolean;
  readonly help: boolean;
}

const packetsOfASeed = 400;

/** @throws UsageError */
export function parseDifferentialArgs(argv: readonly string[]): DifferentialArgs {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seed: { type: "string" },
        seeds: { type: "string", default: "1" },
        packets: { type: "string" },
        only: { type: "string" },
        tenants: { type: "string" },
        explain: { type: "boolean", default: false },
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
    const seeds = number("seeds", values.seeds);
    const packets = values.packets === undefined ? seeds * packetsOfASeed : number("packets", values.packets);
    if (packets < seeds) throw new Error(`--packets ${packets} are fewer than --seeds ${seeds}`);
    return {
      seed: values.seed === undefined ? Date.now() % 1_000_000_007 : number("seed", values.seed),
      seeds,
      packets,
      only: values.only?.split(","),
      explain: values.explain,
      kept: values.kept,
      tenants: values.tenants === undefined ? undefined : number("tenants", values.tenants),
      report: values.report,
      kernel: values.kernel,
      list: values.list,
      help: values.help,
    };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
