import { parseArgs } from "node:util";
import { UsageError } from "./usage.js";

export const changesUsage = `usage: npm run test:changes -- [options]

Lives through random changes with two gateways at once, of which one has XDP: routes, rules, links, neighbours, MTUs, the
config, connections, the daemon. After each change every packet must go where the same packet goes without XDP, or be dropped
where it is, within a second (three where the kernel is emulated). Runs in a VM where this kernel lacks what the gateway
needs.

  --seed S         the first seed (default: another one each time)
  --seeds N        how many, counted up from the first (default 25)
  --changes N      changes in all (default 20 a seed)
  --kept           the seeds that once failed, too
  --report FILE    write the results as JSON, too
  --kernel NAME    always in a VM, with this kernel of vm/kernels.json
  --help
`;

export interface ChangesArgs {
  readonly seed: number;
  readonly seeds: number;
  /** In all. */
  readonly changes: number;
  readonly kept: boolean;
  readonly report: string | undefined;
  readonly kernel: string | undefined;
  readonly help: boolean;
}

const changesOfASeed = 20;

/** @throws UsageError */
export function parseChangesArgs(argv: readonly string[]): ChangesArgs {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seed: { type: "string" },
        seeds: { type: "string", default: "25" },
        changes: { type: "string" },
        kept: { type: "boolean", default: false },
        report: { type: "string" },
        kernel: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    const number = (name: string, text: string) => {
      if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a number, not ${JSON.stringify(text)}`);
      return Number(text);
    };
    const seeds = number("seeds", values.seeds);
    const changes = values.changes === undefined ? seeds * changesOfASeed : number("changes", values.changes);
    if (changes < seeds) throw new Error(`--changes ${changes} are fewer than --seeds ${seeds}`);
    return {
      seed: values.seed === undefined ? Date.now() % 1_000_000_007 : number("seed", values.seed),
      seeds,
      changes,
      kept: values.kept,
      report: values.report,
      kernel: values.kernel,
      help: values.help,
    };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
