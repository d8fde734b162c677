// npm run bench: how fast, against what, and is it slower than it was?
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { repoRoot } from "../vm/root.js";
import { type BenchArgs, benchUsage, parseBenchArgs, UsageError } from "./args.js";
import { compare, formatChanges } from "./compare.js";
import { gatesOf, isMet } from "./gates.js";
import { rerunPinned } from "./pinned.js";
import { writeReport } from "./report.js";
import { type Results, readResults, writeResults } from "./results.js";
import { run } from "./run.js";

const docs = join(repoRoot, "docs");

function showCompared([before, after]: readonly [string, string]): number {
  const changes = compare(readResults(before), readResults(after));
  process.stdout.write(formatChanges(changes));
  return changes.some(({ verdict }) => verdict === "slower") ? 1 : 0;
}

function showGates(results: Results): void {
  for (const gate of gatesOf(results)) {
    const measured = gate.measured === undefined ? "-" : `${Number(gate.measured.toFixed(2))} ${gate.unit}`;
    const flag = isMet(gate) ? "" : "  not met";
    process.stdout.write(`${gate.name.padEnd(72)} ≤ ${`${gate.wanted} ${gate.unit}`.padEnd(8)}${measured}${flag}\n`);
  }
}

async function main(args: BenchArgs): Promise<number> {
  if (args.help) {
    process.stdout.write(benchUsage);
    return 0;
  }
  if (args.compare) return showCompared(args.compare);
  if (args.report !== undefined) {
    writeReport(readResults(args.report), docs);
    return 0;
  }
  const status = rerunPinned();
  if (status !== undefined) return status;
  const say = (line: string) => process.stderr.write(`bench: ${line}\n`);
  const results = await run({ effort: args.quick ? "quick" : "full", peers: args.peers, say });
  const output = args.output ?? join(docs, "benchmark", "results.json");
  mkdirSync(dirname(output), { recursive: true });
  writeResults(output, results);
  if (args.writesReport) writeReport(results, docs);
  showGates(results);
  return 0;
}

try {
  process.exitCode = await main(parseBenchArgs(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${benchUsage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
