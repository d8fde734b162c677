/** Runs a program of dist/vm on this kernel if it can carry the gateway, else in the VM. */

import { missingForGateway } from "./capable.js";
import { reportEnding } from "./ending.js";
import { runInVm } from "./run.js";

const log = (line: string) => process.stderr.write(`vm: ${line}\n`);

/** Whether the caller is to do the work itself; else it has been done, and `process.exitCode` says how it ended. */
export async function canRunHere(file: string, args: readonly string[], timeoutMs: number): Promise<boolean> {
  if (process.env.XGW_IN_VM !== undefined) return true;
  const missing = await missingForGateway();
  if (missing.length === 0) return true;
  log(`this kernel lacks ${missing.join(", ")}: using a VM`);
  const result = await runInVm({ command: [process.execPath, file, ...args], timeoutMs, log });
  process.exitCode = reportEnding(result, timeoutMs, log);
  return false;
}
