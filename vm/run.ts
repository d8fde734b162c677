import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { accelArgs, isEmulated } from "./accel.js";
import { type GuestResult, runGuest } from "./guest.js";
import { ensureInitramfs } from "./initramfs.js";
import { encodeJob, passedEnv } from "./job.js";
import { ensureKernel } from "./kernels.js";
import type { Machine } from "./qemu.js";

export interface VmOptions {
  readonly command: readonly string[];
  /** A name in vm/kernels.json; its default if not given. */
  readonly kernel?: string | undefined;
  /** From the start of the boot; none if not given. */
  readonly timeoutMs?: number | undefined;
  readonly cwd?: string | undefined;
  /** Added to what passedEnv() lets through. */
  readonly env?: Readonly<Record<string, string>>;
  /** A host directory that the guest sees at the same path and may write to. Made if it does not exist. */
  readonly shareDir?: string | undefined;
  readonly memoryMiB?: number;
  /** 2 unless given, and 1 where they are emulated. */
  readonly cpus?: number | undefined;
  /** Run the command on the guest's console, which is this process's terminal then. */
  readonly interactive?: boolean;
  /** Ends the guest. */
  readonly signal?: AbortSignal;
  /** Without them the command's output goes to this process's stdout and stderr. */
  readonly onStdout?: (data: Buffer) => void;
  readonly onStderr?: (data: Buffer) => void;
  /** The guest kernel's own messages. */
  readonly onConsole?: ((data: Buffer) => void) | undefined;
  /** Told what takes long; stderr if not given. */
  readonly log?: (line: string) => void;
}

export interface VmResult extends GuestResult {
  /** The kernel that ran, as `uname -r` says it. */
  readonly release: string;
}

/**
 * The kernel patches its own code all the time (static keys: a ping that asks for time stamps is enough), and an emulated
 * CPU now and then runs into an instruction that another one is just patching: an oops in the middle of an instruction.
 */
const emulatedCpus = 1;

/**
 * Runs a command on another kernel over this machine's files: the guest sees all of them, what it writes vanishes with
 * it, except in `shareDir`.
 */
export async function runInVm(options: VmOptions): Promise<VmResult> {
  const log = options.log ?? ((line: string) => process.stderr.write(`vm: ${line}\n`));
  const kernel = await ensureKernel(options.kernel, log);
  const initrd = await ensureInitramfs(kernel);
  const modules = dirname(kernel.modules);
  const share = options.shareDir === undefined ? undefined : resolve(options.shareDir);
  if (share !== undefined) await mkdir(share, { recursive: true });

  const machine = { kernel, initrd, memoryMiB: options.memoryMiB ?? 4096, cpus: 1 };
  const boots = async (args: readonly string[]): Promise<boolean> => {
    log("trying whether KVM boots a guest here");
    const probe: Machine = { ...machine, accelArgs: args, share: undefined };
    const job = encodeJob({ command: ["true"], cwd: "/", env: {}, modules, share: undefined });
    const { exitCode } = await runGuest({ machine: probe, job, timeoutMs: 5_000, signal: options.signal });
    log(exitCode === 0 ? "KVM works" : "KVM does not boot a guest: emulating");
    return exitCode === 0;
  };
  const job = encodeJob({
    command: options.command,
    cwd: resolve(options.cwd ?? "."),
    env: { ...passedEnv(process.env), XGW_IN_VM: kernel.name, ...options.env },
    modules,
    share,
    interactive: options.interactive,
  });
  const accel = await accelArgs(boots);
  const cpus = options.cpus ?? (isEmulated(accel) ? emulatedCpus : 2);
  const result = await runGuest({
    machine: { ...machine, cpus, accelArgs: accel, share, interactive: options.interactive },
    job,
    timeoutMs: options.timeoutMs,
    signal: options.signal,
    onStdout: options.onStdout ?? ((data) => process.stdout.write(data)),
    onStderr: options.onStderr ?? ((data) => process.stderr.write(data)),
    onConsole: options.onConsole,
  });
  return { ...result, release: kernel.release };
}
