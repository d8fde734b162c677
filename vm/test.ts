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
  let interrupted = false;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(name, () => {
      interrupted = true;
      abort.abort();
    });
  const reportDir = await mkdtemp(join(tmpdir(), "xgw-test-"));
  const isBoth = here.length > 0 && inVm.length > 0;
  const options = { args, reportDir, log, signal: abort.signal };
  /** At the same time: the tests of this kernel wait a lot, and the VM does not keep all CPUs busy. */
  const parts: Promise<Counts>[] = [];
  if (here.length > 0) {
    log(`${here.join(", ")}: on this kernel, ${release()}`);
    parts.push(runHere({ ...options, projects: here, linePrefix: isBoth ? "here | " : "" }));
  }
  if (inVm.length > 0) {
    log(`${inVm.join(", ")}: in the VM${missing.length > 0 ? ` (this kernel lacks ${missing.join(", ")})` : ""}`);
    parts.push(runOnKernel({ ...options, projects: inVm, linePrefix: isBoth ? "vm | " : "" }));
  }
  let counts: Counts[];
  try {
    counts = await Promise.all(parts);
  } finally {
    abort.abort();
    await Promise.allSettled(parts);
    await rm(reportDir, { recursive: true, force: true });
  }
  const sum = addCounts(counts);
  process.stdout.write(`${countsLine(sum)}\n`);
  return interrupted ? 130 : succeeded(sum) ? 0 : 1;
}

try {
  process.exitCode = await main(parseTestArgs(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`test: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${testUsage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
