import { parseArgs } from "node:util";

export const benchUsage = `usage: npm run bench -- [options]

Measures the data path on this machine's kernel and writes docs/benchmark.md, its plots and a result file.

  --quick              fewer rounds: under 3 minutes
  --output FILE        the result file (default docs/benchmark/results.json)
  --no-report          write the result file only
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
  readonly report: string | undefined;
  readonly compare: readonly [string, string] | undefined;
}

const options = {
  help: { type: "boolean", short: "h" },
  quick: { type: "boolean" },
  output: { type: "string" },
  "no-report": { type: "boolean" },
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

export function parseBenchArgs(args: readonly string[]): BenchArgs {
  const { values, positionals } = parse(args);
  const [before, after] = positionals;
  if (values.compare ? positionals.length !== 2 : positionals.length > 0)
    throw new UsageError(values.compare ? "--compare needs two result files" : `what is "${before}"?`);
  return {
    help: values.help ?? false,
    quick: values.quick ?? false,
    output: values.output,
    writesReport: !values["no-report"],
    peers: !values["no-peers"],
    report: values.report,
    compare: before !== undefined && after !== undefined ? [before, after] : undefined,
  };
}
