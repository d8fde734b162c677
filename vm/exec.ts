import { execFile } from "node:child_process";
import { basename } from "node:path";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

/** Runs a command to its end and returns its stdout; the error of a failed one says what it wrote to stderr. */
export async function exec(command: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  try {
    const { stdout } = await execFileAsync(command, [...args], { ...options, maxBuffer: 256 << 20 });
    return stdout;
  } catch (cause) {
    const { stderr, code } = cause as { stderr?: string; code?: string | number };
    const words =
      stderr?.trim() || (code === "ENOENT" ? "there is no such command; npm run setup" : `failed (${code})`);
    throw new Error(`${basename(command)}: ${words}`, { cause });
  }
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
