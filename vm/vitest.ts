import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { reportEnding } from "./ending.js";
import type { Job } from "./jobs.js";
import { nothingRan, type Outcome, readReport } from "./outcome.js";
import { PrefixLines } from "./prefix-lines.js";
import { repoRoot } from "./root.js";
import { runInVm } from "./run.js";
import type { TestArgs } from "./test-args.js";

export interface VitestRun {
  readonly args: TestArgs;
  readonly job: Job;
  /** Where the report goes; the VM can write there. */
  readonly reportDir: string;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
  /** What its lines begin with, to tell them from those of a job at the same time; empty where there is none. */
  readonly linePrefix: string;
}

/** Streams to this process's own. */
function outputs({ linePrefix }: VitestRun) {
  const prefix = linePrefix === "" ? "" : `${linePrefix} | `;
  const stdout = new PrefixLines(prefix, (text) => process.stdout.write(text));
  const stderr = new PrefixLines(prefix, (text) => process.stderr.write(text));
  return {
    onStdout: (data: Buffer) => stdout.add(data),
    onStderr: (data: Buffer) => stderr.add(data),
    end: () => [stdout, stderr].forEach((stream) => void stream.end()),
  };
}

const colors = (): Readonly<Record<string, string>> =>
  process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: "1" } : {};

export async function runHere(run: VitestRun): Promise<Outcome> {
  const report = join(run.reportDir, `${run.job.name}.json`);
  const [command = "", ...args] = vitestCommand(run, report);
  const output = outputs(run);
  const child = spawn(command, args, {
    cwd: repoRoot,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...colors() },
  });
  child.stdout.on("data", output.onStdout);
  child.stderr.on("data", output.onStderr);
  const onAbort = () => child.kill("SIGTERM");
  run.signal.addEventListener("abort", onAbort);
  const [status] = (await once(child, "close")) as [number | null];
  run.signal.removeEventListener("abort", onAbort);
  output.end();
  return outcome(report, status ?? 1, run);
}

export async function runOnKernel(run: VitestRun): Promise<Outcome> {
  const report = join(run.reportDir, `${run.job.name}.json`);
  const output = outputs(run);
  const result = await runInVm({
    command: vitestCommand(run, report),
    kernel: run.args.kernel,
    cwd: repoRoot,
    env: colors(),
    shareDir: run.reportDir,
    timeoutMs: run.args.timeoutMs,
    signal: run.signal,
    onStdout: output.onStdout,
    onStderr: output.onStderr,
    log: run.log,
  });
  output.end();
  const status = reportEnding(result, run.args.timeoutMs, run.log);
  const times = `boot ${seconds(result.bootMs)}, in all ${seconds(result.totalMs)}`;
  run.log(`${run.job.name}: Linux ${result.release}: ${times}`);
  return outcome(report, status, run);
}

function vitestCommand({ args, job }: VitestRun, report: string): string[] {
  return [
    ...[process.execPath, join(repoRoot, "node_modules", "vitest", "vitest.mjs"), "run"],
    ...job.projects.flatMap((project) => ["--project", project]),
    ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    ...(args.name === undefined ? [] : ["--testNamePattern", args.name]),
    ...(job.files.length === 0 ? [] : ["--passWithNoTests"]),
    ...job.files,
  ];
}

/** What the report says; a run that failed without a failed test counts as one. */
async function outcome(report: string, status: number, { job }: VitestRun): Promise<Outcome> {
  const text = await readFile(report, "utf8").catch(() => undefined);
  await rm(report, { force: true });
  const read = text === undefined ? nothingRan : readReport(text);
  if (status === 0 || read.failures.length > 0) return read;
  const message = `vitest ended with status ${status}${text === undefined ? " and left no report" : ""}`;
  return { ...read, failures: [{ test: job.name, message }] };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
