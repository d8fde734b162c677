// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { tcgArgs } from "./accel.js";
import { hostArch } from "./arch.js";
import { ensureInitramfs } from "./initramfs.js";
import { encodeJob } from "./job.js";
import { ensureKernel, type Kernel } from "./kernels.js";

export interface VmOptions {
  readonly command: readonly string[];
  /** A name of vm/kernels.json. */
  readonly kernel?: string;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A host directory that the guest sees at the same path and may write to. */
  readonly shareDir?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
  readonly onStdout?: (data: Buffer) => void;
  readonly onStderr?: (data: Buffer) => void;
  readonly onConsole?: (data: Buffer) => void;
  readonly log?: (line: string) => void;
}

export interface VmResult {
  /** The command's own status if `ended` is "exit"; undefined otherwise. */
  readonly exitCode: number | undefined;
  readonly ended: "exit" | "timeout" | "crash";
  /** The end of the guest's console. */
  readonly consoleTail: string;
  readonly bootMs: number;
  readonly totalMs: number;
}

/** Boots a guest over this machine's files, runs one command in it and ends it. */
export async function runInVm(options: VmOptions): Promise<VmResult> {
  const log = options.log ?? (() => {});
  const kernel = await ensureKernel(options.kernel, log);
  const initrd = await ensureInitramfs(kernel);
  const started = performance.now();
  const qemu = spawn(hostArch().qemu, qemuArgs(kernel, initrd, options), {
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe", "pipe"],
  });
  const killQemu = () => qemu.kill("SIGKILL");
  process.once("exit", killQemu);
  const tail = new Tail(16384);
  for (const fd of [1, 2]) {
    (stdio(qemu, fd) as Readable).on("data", (data: Buffer) => {
      tail.add(data);
      options.onConsole?.(data);
    });
  }
  const drained = [pump(qemu, 3, options.onStdout), pump(qemu, 4, options.onStderr)];
  const control = stdio(qemu, 5) as Duplex;
  control.on("error", () => {});
  control.write(
    encodeJob({
      command: options.command,
      cwd: options.cwd ?? process.cwd(),
      env: options.env ?? {},
      modules: dirname(kernel.modules),
      share: options.shareDir,
    }),
  );
  let exitCode: number | undefined;
  let bootMs = Number.NaN;
  let timedOut = false;
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          killQemu();
        }, options.timeoutMs);
  let answer = "";
  control.on("data", (data: Buffer) => {
    answer += data.toString();
    if (Number.isNaN(bootMs) && answer.includes("ready\n")) bootMs = performance.now() - started;
    const status = /^exit (\d+)$/m.exec(answer);
    if (status?.[1]) {
      exitCode = Number(status[1]);
      killQemu();
    }
  });
  try {
    await once(qemu, "exit");
    await Promise.all(drained);
  } finally {
    clearTimeout(timer);
    process.off("exit", killQemu);
  }
  const ended = exitCode !== undefined ? "exit" : timedOut ? "timeout" : "crash";
  return { exitCode, ended, consoleTail: tail.text(), bootMs, totalMs: performance.now() - started };
}

function qemuArgs(kernel: Kernel, initrd: string, options: VmOptions): string[] {
  const arch = hostArch();
  const append = [
    "rdinit=/init",
    `console=${arch.console}`,
    "quiet",
    "panic=-1",
    "oops=panic",
    "mitigations=off",
    "nokaslr",
    "tsc=reliable",
    ...(process.env.XGW_VM_APPEND ?? "").split(" "),
  ];
  const args = [...arch.machine, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
  args.push(...(process.env.XGW_VM_ACCEL?.split(" ") ?? tcgArgs()));
  args.push("-m", String(options.memoryMiB ?? 4096), "-smp", String(options.cpus ?? 2));
  args.push("-kernel", kernel.image, "-initrd", initrd, "-append", append.join(" "));
  args.push("-serial", "stdio", "-monitor", "none");
  args.push("-device", "virtio-serial-pci,max_ports=8");
  for (const [index, fd] of [3, 4, 5].entries()) {
    args.push("-chardev", `socket,id=port${fd},fd=${fd}`);
    args.push("-device", `virtserialport,chardev=port${fd},nr=${index + 1}`);
  }
  const plain = "security_model=none,multidevs=remap";
  args.push("-virtfs", `local,path=/,mount_tag=host,readonly=on,${plain}`);
  if (options.shareDir) args.push("-virtfs", `local,path=${options.shareDir},mount_tag=share,${plain}`);
  return args;
}

function stdio(child: ChildProcess, fd: number): unknown {
  return (child.stdio as readonly unknown[])[fd];
}

async function pump(qemu: ChildProcess, fd: number, sink: ((data: Buffer) => void) | undefined): Promise<void> {
  const stream = stdio(qemu, fd) as Readable;
  stream.on("data", (data: Buffer) => sink?.(data));
  stream.on("error", () => {});
  await once(stream, "close");
}

/** Keeps the last bytes of a stream. */
class Tail {
  #data = Buffer.alloc(0);
  constructor(readonly limit: number) {}
  add(data: Buffer): void {
    this.#data = Buffer.concat([this.#data, data]).subarray(-this.limit);
  }
  text(): string {
    return this.#data.toString();
  }
}
