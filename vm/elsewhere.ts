/**
 * A program of dist/vm in a network namespace of its own, on this kernel if it can carry the gateway, else in the VM. What
 * it finds comes back as a report.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingForGateway } from "./capable.js";
import { reportEnding } from "./ending.js";
import { runInVm } from "./run.js";

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
