/**
 * A program of dist/vm in a network namespace of its own, on this kernel if it can carry the gateway, else in the VM. What
 * it finds comes back as a report.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { missingForGateway } from "./capable.js";
import { reportEnding } from "./ending.js";
import { runInVm } from "./run.js";
import { UsageError } from "./usage.js";

/** Of all such programs. */
export interface ElsewhereArgs {
  readonly seed: number;
  readonly report: string | undefined;
  readonly kernel: string | undefined;
  readonly help: boolean;
}

/** A program that draws from seeds, and its command line. */
export interface SeededProgram<Args extends ElsewhereArgs, Report> {
  /** What its messages begin with. */
  readonly name: string;
  readonly file: string;
  readonly timeoutMs: number;
  readonly usage: string;
  /** @throws UsageError */
  parse(argv: readonly string[]): Args;
  /** What is only asked of it, and done here: whether that was all. */
  answer?(args: Args): boolean;
  /** In this process's network namespace, which is to be empty. */
  run(args: Args): Promise<Report>;
  /** Tells what was found: what is wrong, in words. */
  tell(report: Report): readonly string[];
}

/** Runs it to its end, which sets the exit status: 0, 1 where something is wrong, 2 for what is no usage. */
export async function runProgram<Args extends ElsewhereArgs, Report>(
  program: SeededProgram<Args, Report>,
): Promise<void> {
  const { name, usage } = program;
  try {
    process.exitCode = await statusOf(program, process.argv.slice(2));
  } catch (error) {
    const isUsage = error instanceof UsageError;
    const words = error instanceof Error && !isUsage ? (error.stack ?? error.message) : (error as Error).message;
    process.stderr.write(`${name}: ${words}\n${isUsage ? `\n${usage}` : ""}`);
    process.exitCode = isUsage ? 2 : 1;
  }
}

async function statusOf<Args extends ElsewhereArgs, Report>(
  program: SeededProgram<Args, Report>,
  argv: readonly string[],
): Promise<number> {
  const { name, file, timeoutMs } = program;
  const args = program.parse(argv);
  if (args.help) process.stdout.write(program.usage);
  if (args.help || program.answer?.(args)) return 0;
  if (isInside()) {
    const report = await program.run(args);
    if (args.report !== undefined) await writeFile(args.report, JSON.stringify(report));
    return 0;
  }
  const there = withSeed(argv, args.seed);
  const report = await runElsewhere<Report>({ name, file, argv: there, kernel: args.kernel, timeoutMs });
  if (args.report !== undefined) await writeFile(resolve(args.report), `${JSON.stringify(report, null, 2)}\n`);
  const faults = program.tell(report);
  for (const fault of faults) say(`FAILED: ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

/** Set for the program that is to do the work itself. */
const inside = "XGW_INSIDE";
const say = (line: string) => void process.stdout.write(`${line}\n`);

/** Whether this process has been started by `runElsewhere`. */
export const isInside = (): boolean => process.env[inside] !== undefined;

export interface Elsewhere {
  /** What its messages begin with. */
  readonly name: string;
  readonly file: string;
  /** To which `--report FILE` is added, where the program is to write its report as JSON. */
  readonly argv: readonly string[];
  /** Always in a VM, with this kernel of vm/kernels.json. */
  readonly kernel?: string | undefined;
  readonly timeoutMs: number;
}

/** @throws when the program leaves no report */
export async function runElsewhere<Report>({ name, file, argv, kernel, timeoutMs }: Elsewhere): Promise<Report> {
  const missing = kernel === undefined ? await missingForGateway() : [];
  const shareDir = await mkdtemp(join(tmpdir(), `xgw-${name}-`));
  const report = join(shareDir, "report.json");
  const command = ["unshare", "--net", process.execPath, file, ...argv, "--report", report];
  const env = { [inside]: "1" };
  try {
    if (kernel === undefined && missing.length === 0) {
      const [unshare = "", ...args] = command;
      const child = spawn(unshare, args, { stdio: "inherit", env: { ...process.env, ...env } });
      await once(child, "exit"); // what went wrong is in the report
    } else {
      say(`${name}: ${missing.length > 0 ? `this kernel lacks ${missing.join(", ")}: ` : ""}using a VM`);
      const log = (line: string) => say(`${name}: ${line}`);
      const result = await runInVm({ command, kernel, shareDir, timeoutMs, env, log });
      const status = reportEnding(result, timeoutMs, log);
      if (status > 1) throw new Error(`the test in the VM ended with status ${status}`);
    }
    return JSON.parse(await readFile(report, "utf8")) as Report;
  } finally {
    await rm(shareDir, { recursive: true, force: true });
  }
}

/** The arguments with this seed in the place of what they say of it, so that another process draws the same. */
export function withSeed(argv: readonly string[], seed: number): string[] {
  const kept = argv.filter((word, at) => !/^--seed(=|$)/.test(word) && argv[at - 1] !== "--seed");
  return [...kept, "--seed", String(seed)];
}
