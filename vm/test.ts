// npm test: all tests, each on a kernel that can run it, and their count as the last line.
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { addCounts, type Counts, countsLine, succeeded } from "./counts.js";
import { placeProjects, projectsWithoutTests } from "./places.js";
import { parseTestArgs, type TestArgs, testUsage } from "./test-args.js";
import { UsageError } from "./usage.js";
import { runHere, runOnKernel } from "./vitest.js";

const log = (line: string) => process.stderr.write(`test: ${line}\n`);

async function main(args: TestArgs): Promise<number> {
  if (args.help) {
    process.stdout.write(testUsage);
    return 0;
  }
  const { here, inVm, missing } = await placeProjects(args.projects, args.kernel);
  const empty = projectsWithoutTests(args.projects);
  if (empty.length > 0) log(`no tests in ${empty.join(", ")}`);
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => abort.abort());
  const reportDir = await mkdtemp(join(tmpdir(), "xgw-test-"));
  const run = { args, reportDir, log, signal: abort.signal };
  const counts: Counts[] = [];
  try {
    if (here.length > 0) {
      log(`${here.join(", ")}: on this kernel, ${release()}`);
      counts.push(await runHere({ ...run, projects: here }));
    }
    if (inVm.length > 0 && !abort.signal.aborted) {
      const why = missing.length > 0 ? ` (this kernel lacks ${missing.join(", ")})` : "";
      log(`${inVm.join(", ")}: in the VM${why}`);
      counts.push(await runOnKernel({ ...run, projects: inVm }, args.kernel));
    }
  } finally {
    await rm(reportDir, { recursive: true, force: true });
  }
  const sum = addCounts(counts);
  process.stdout.write(`${countsLine(sum)}\n`);
  return abort.signal.aborted ? 130 : succeeded(sum) ? 0 : 1;
}

try {
  process.exitCode = await main(parseTestArgs(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`test: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${testUsage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
