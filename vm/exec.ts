import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

/** Runs a command to its end and returns its stdout; the error of a failed one holds what it wrote to stderr. */
export async function exec(command: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  const { stdout } = await execFileAsync(command, [...args], { ...options, maxBuffer: 256 << 20 });
  return stdout;
}

/** Whether a command ends with status 0. */
export async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await exec(command, args);
    return true;
  } catch {
    return false;
  }
}
