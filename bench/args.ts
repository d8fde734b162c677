import { parseArgs } from "node:util";
import { sections } from "./sections.js";

export const benchUsage = `usage: npm run bench -- [options]

Measures the data path on this machine's kernel and writes docs/benchmark.md, its plots and a result file.

  --quick              fewer rounds, and nothing in a VM unless --only names it: under 3 minutes
  --output FILE        the result file (default docs/benchmark/results.json)
  --no-report          write the result file only
  --only PART,...      these parts only, and no report: programs, bindings, ${sections.map(({ id }) => id).join(", ")}
  --no-peers           without other projects' programs, which are downloaded from Debian
  --report FILE        measure nothing: write the report of an earlier result file
  --compare OLD NEW    measure nothing: show two result files side by side and flag what got slower

Exit status: 0, 1 something failed or (--compare) got slower, 2 usage.
`;

export class UsageError extends Error {}

export interface BenchArgs {
  readonly help: boolean;
  readonly quick: boolean;
  readonly output: string | undefined;
  readonly writesReport: boolean;
  readonly peers: boolean;
  /** Undefined: all parts. */
  readonly only: readonly string[] | undefined;
  readonly report: string | undefined;
  readonly compare: readonly [string, string] | undefined;
}

const options = {
  help: { type: "boolean", short: "h" },
  quick: { type: "boolean" },
  output: { type: "string" },
  "no-report": { type: "boolean" },
  only: { type: "string" },
  "no-peers": { type: "boolean" },
  report: { type: "string" },
  compare: { type: "boolean" },
} as const;

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

export const parts: readonly string[] = ["programs", "bindings", ...sections.map(({ id }) => id)];

function partsIn(text: string | undefined): readonly string[] | undefined {
  const wanted = text?.split(",").filter((part) => part !== "");
  const unknown = wanted?.find((part) => !parts.includes(part));
  if (unknown !== undefined || wanted?.length === 0)
    throw new UsageError(`--only ${text}: the parts are ${parts.join(", ")}`);
  return wanted;
}

export function parseBenchArgs(args: readonly string[]): BenchArgs {
  const { values, positionals } = parse(args);
  const [before, after] = positionals;
  if (values.compare ? positionals.length !== 2 : positionals.length > 0)
    throw new UsageError(values.compare ? "--compare needs two result files" : `what is "${before}"?`);
  const only = partsIn(values.only);
  return {
    help: values.help ?? false,
    quick: values.quick ?? false,
    output: values.output,
    writesReport: !values["no-report"] && only === undefined,
    only,
    peers: !values["no-peers"],
    report: values.report,
    compare: before !== undefined && after !== undefined ? [before, after] : undefined,
  };
}
