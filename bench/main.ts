// npm run bench: how fast, against what, and is it slower than it was?
import "../vm/path.js";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { repoRoot } from "../vm/root.js";
import { type BenchArgs, benchUsage, parseBenchArgs, UsageError } from "./args.js";
import { compare, formatChanges } from "./compare.js";
import { gatesOf, isMet, wish } from "./gates.js";
import { rerunPinned } from "./pinned.js";
import { writeReport } from "./report.js";
import { type Results, readResults, writeResults } from "./results.js";
import { run } from "./run.js";
import { hasFailed } from "./section.js";

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
    process.stdout.write(`${gate.name.padEnd(72)} ${wish(gate).padEnd(10)}${measured}${flag}\n`);
  }
}

/** Of a run that writes no report. */
function showFigures({ programs, sections = {} }: Results): void {
  const line = (name: string, at: string, value: number, unit: string) =>
    process.stdout.write(`${name.padEnd(52)}${at.padStart(18)} ${Number(value.toPrecision(4))} ${unit}\n`);
  for (const { name, flows, least } of programs) line(name, flows.toLocaleString("en"), least, "ns");
  for (const section of Object.values(sections)) {
    if (hasFailed(section)) continue;
    for (const { name, at = "", value, unit } of section.figures) line(name, at, value, unit);
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
  const { only } = args;
  const results = await run({ effort: args.quick ? "quick" : "full", peers: args.peers, only, say });
  const output = args.output ?? (only ? undefined : join(docs, "benchmark", "results.json"));
  if (output !== undefined) {
    mkdirSync(dirname(output), { recursive: true });
    writeResults(output, results);
  }
  if (args.writesReport) writeReport(results, docs);
  else showFigures(results);
  showGates(results);
  return Object.values(results.sections ?? {}).some(hasFailed) ? 1 : 0;
}

try {
  process.exitCode = await main(parseBenchArgs(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${benchUsage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
