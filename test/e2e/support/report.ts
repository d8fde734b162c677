/** Programs of dist/lab that write a report as JSON. */

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { built } from "../../../vm/root.js";

/** Less than the time that a hook has. */
const timeoutMs = 560_000;

/** Runs one to its end. What it found is in its report, whatever its status. */
export async function reportOf<T>(program: string, ...args: string[]): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "xgw-e2e-"));
  const file = join(folder, "report.json");
  const running = promisify(execFile)(process.execPath, [built(`lab/${program}.js`), ...args, "--report", file], {
    timeout: timeoutMs,
    maxBuffer: 64 * 2 ** 20,
  });
  running.child.stdout?.pipe(process.stderr, { end: false });
  running.child.stderr?.pipe(process.stderr, { end: false });
  const ending = await running.catch((error: Error) => error);
  try {
    return JSON.parse(await readFile(file, "utf8")) as T;
  } catch (cause) {
    throw new Error(`${program} left no report: ${ending instanceof Error ? ending.message : ending.stderr}`, {
      cause,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
