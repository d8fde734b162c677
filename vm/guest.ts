import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { type Machine, portFds, startQemu } from "./qemu.js";
import { Tail } from "./tail.js";

export interface GuestRun {
  readonly machine: Machine;
  /** The line that tells the guest what to run (see job.ts). */
  readonly job: string;
  readonly timeoutMs: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onStdout?: ((data: Buffer) => void) | undefined;
  readonly onStderr?: ((data: Buffer) => void) | undefined;
  readonly onConsole?: ((data: Buffer) => void) | undefined;
}

/** How a guest ended: its command did, the time limit passed, the caller gave up, or the guest broke down. */
export type Ending = "exit" | "timeout" | "aborted" | "crash";

export interface GuestResult {
  /** The command's own status if `ended` is "exit"; undefined otherwise. */
  readonly exitCode: number | undefined;
  readonly ended: Ending;
  /** The end of the guest's console: what the kernel said last. */
  readonly consoleTail: string;
  /** From QEMU's start until the command's start; NaN if it was not reached. */
  readonly bootMs: number;
  readonly totalMs: number;
}

/** Boots a guest, has it run its job, and ends it. */
export async function runGuest(run: GuestRun): Promise<GuestResult> {
  const started = performance.now();
  const qemu = startQemu(run.machine);
  let ended: Ending = "crash";
  let exitCode: number | undefined;
  let bootMs = Number.NaN;
  const end = (how: Ending) => {
    if (ended === "crash") ended = how;
    qemu.kill("SIGKILL");
  };

  const tail = new Tail(16 << 10);
  const onConsole = (data: Buffer) => {
    tail.add(data);
    run.onConsole?.(data);
  };
  const drained = [
    ...(run.machine.interactive ? [] : [drain(qemu, 1, onConsole)]),
    drain(qemu, 2, onConsole),
    drain(qemu, portFds.stdout, run.onStdout),
    drain(qemu, portFds.stderr, run.onStderr),
  ];

  const control = stdio(qemu, portFds.control) as Duplex;
  control.on("error", () => {}); // QEMU has gone; its exit says why
  control.write(run.job);
  let answer = "";
  control.on("data", (data: Buffer) => {
    answer += data.toString();
    if (Number.isNaN(bootMs) && answer.includes("ready\n")) bootMs = performance.now() - started;
    const status = /^exit (\d+)$/m.exec(answer)?.[1];
    if (status === undefined) return;
    exitCode = Number(status);
    if (run.machine.interactive)
      ended = "exit"; // it switches itself off, and QEMU puts the terminal back as it was
    else end("exit");
  });

  const timer = run.timeoutMs === undefined ? undefined : setTimeout(() => end("timeout"), run.timeoutMs);
  const onAbort = () => end("aborted");
  run.signal?.addEventListener("abort", onAbort);
  if (run.signal?.aborted) onAbort();
  try {
    await once(qemu, "exit");
    await Promise.all(drained);
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener("abort", onAbort);
    qemu.kill("SIGKILL");
  }
  return { exitCode, ended, consoleTail: tail.text(), bootMs, totalMs: performance.now() - started };
}

/** Node's types know the first five descriptors of a child only. */
function stdio(child: ChildProcess, fd: number): unknown {
  return (child.stdio as readonly unknown[])[fd];
}

async function drain(qemu: ChildProcess, fd: number, sink: ((data: Buffer) => void) | undefined): Promise<void> {
  const stream = stdio(qemu, fd) as Readable;
  stream.on("data", (data: Buffer) => sink?.(data));
  stream.on("error", () => {});
  await once(stream, "close");
}
