// npm test: all tests, each on a kernel that can run it, and their count as the last line.
import "./path.js";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, release, tmpdir } from "node:os";
import { join } from "node:path";
import { ensureInitramfs } from "./initramfs.js";
import { type Job, planJobs, projectsWithoutTests } from "./jobs.js";
import { ensureKernel } from "./kernels.js";
import { inLanes } from "./lanes.js";
import { addOutcomes, nothingRan, type Outcome, outcomeLines, succeeded } from "./outcome.js";
import { parseTestArgs, type TestArgs, testUsage } from "./test-args.js";
import { UsageError } from "./usage.js";
import { runHere, runOnKernel } from "./vitest.js";

const log = (line: string) => process.stderr.write(`test: ${line}\n`);

/** A VM that is emulated keeps one CPU busy, and the tests of this kernel no more than that. */
const mostAtOnce = 2;

async function main(args: TestArgs): Promise<number> {
  if (args.help) {
    process.stdout.write(testUsage);
    return 0;
  }
  const jobs = await planJobs(args);
  const empty = projectsWithoutTests(args.projects);
  if (empty.length > 0) log(`no tests in ${empty.join(", ")}`);
  const abort = new AbortController();
  let interrupted = false;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(name, () => {
      interrupted = true;
      abort.abort();
    });
  // Once, before two VMs want it at the same time.
  if (jobs.some(({ inVm }) => inVm)) await ensureInitramfs(await ensureKernel(args.kernel, log));
  const reportDir = await mkdtemp(join(tmpdir(), "xgw-test-"));
  const run = async (job: Job): Promise<Outcome> => {
    if (abort.signal.aborted) return nothingRan;
    const which =
      job.files.length > 0 ? `${job.projects.join(", ")} (${job.files.join(", ")})` : job.projects.join(", ");
    const options = { args, job, reportDir, log, signal: abort.signal, linePrefix: jobs.length > 1 ? job.name : "" };
    if (!job.inVm) {
      log(`${which}: on this kernel, ${release()}`);
      return runHere(options);
    }
    log(`${which}: in the VM${job.missing.length > 0 ? ` (this kernel lacks ${job.missing.join(", ")})` : ""}`);
    return runOnKernel(options);
  };
  let outcomes: Outcome[];
  try {
    outcomes = await inLanes(jobs, Math.min(mostAtOnce, availableParallelism()), run);
  } finally {
    abort.abort();
    await rm(reportDir, { recursive: true, force: true });
  }
  const sum = addOutcomes(outcomes);
  process.stdout.write(`${outcomeLines(sum).join("\n")}\n`);
  return interrupted ? 130 : succeeded(sum) ? 0 : 1;
}

try {
  process.exitCode = await main(parseTestArgs(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`test: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${testUsage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
