/** Network namespaces of the lab: made under a prefix of their own, entered by name, removed with everything in them. */

import { type ChildProcess, type ExecException, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";

const exec = promisify(execFile);

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** For one program, on an emulated kernel of a busy machine. */
const timeoutMs = 600_000;

/** Runs a program to its end, which must come in time; a failure is a result, not an exception. */
export async function tryRun(program: string, args: readonly string[], input = ""): Promise<Output> {
  try {
    const running = exec(program, [...args], { maxBuffer: 64 * 2 ** 20, timeout: timeoutMs });
    running.child.stdin?.on("error", () => {}).end(input); // who does not read it has other reasons to fail
    const { stdout, stderr } = await running;
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, killed, stdout, stderr } = error as ExecException;
    const late = killed ? `not ended after ${timeoutMs / 1000} s: ` : "";
    return { code: typeof code === "number" ? code : 1, stdout: stdout ?? "", stderr: late + (stderr ?? error) };
  }
}

export async function run(program: string, args: readonly string[], input?: string): Promise<string> {
  const output = await tryRun(program, args, input);
  if (output.code !== 0) throw new Error(`lab: ${program} ${args.join(" ")}: ${output.stderr.trim() || output.code}`);
  return output.stdout;
}

/** Lines of `ip` commands up to the first that fails, in one process: one each takes long on an emulated kernel. */
export async function ipBatch(lines: readonly string[], ...options: string[]): Promise<void> {
  if (lines.length > 0) await run("ip", [...options, "-batch", "-"], `${lines.join("\n")}\n`);
}

export class Namespace {
  private constructor(readonly name: string) {}

  static async create(name: string): Promise<Namespace> {
    await run("ip", ["netns", "add", name]);
    const namespace = new Namespace(name);
    // Neighbour discovery and the like would be counted among the packets that a check sends.
    const settings = ["all", "default"].map((which) => `net.ipv6.conf.${which}.disable_ipv6=1`);
    await namespace.run("sysctl", "-qw", ...settings);
    await namespace.ip("link set lo up");
    return namespace;
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Enters the network namespace only: bpffs and the rest of /sys stay the ones that everybody sees. */
  private enter(command: readonly string[]): [string, string[]] {
    return ["nsenter", [`--net=${this.path}`, "--", ...command]];
  }

  run(...command: string[]): Promise<string> {
    return run(...this.enter(command));
  }

  tryRun(...command: string[]): Promise<Output> {
    return tryRun(...this.enter(command));
  }

  /** Lines of `ip` commands. */
  ip(...lines: string[]): Promise<void> {
    return ipBatch(lines, "-n", this.name);
  }

  spawn(command: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    const [program, args] = this.enter(command);
    return spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env });
  }

  async delete(): Promise<void> {
    await tryRun("ip", ["netns", "del", this.name]);
  }
}
