/** The one place where xgw starts other programs: no shell, no inherited input, and a failure that says what was run. */

import { spawn } from "node:child_process";
import { KernelError, XgwError } from "../errors.js";
import { withSystemPrograms } from "./system-path.js";

export interface RunOptions {
  /** Written to the program's standard input. */
  readonly input?: string;
  /** Milliseconds after which the program is killed; by default it has time for its input, see `patienceMs`. */
  readonly timeoutMs?: number;
  /** Exit codes other than 0 that are no failure. */
  readonly okCodes?: readonly number[];
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * How long a program may take before it counts as hanging: a line of `ip -batch` can be a device that is made or removed,
 * which takes milliseconds each, on a slow machine tens of them.
 */
export function patienceMs(input = ""): number {
  return 300_000 + 50 * (input.split("\n").length - 1);
}

/**
 * Runs a program to its end.
 *
 * @throws KernelError when the program is not installed
 * @throws XgwError when it fails, with its own words
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: options.timeoutMs ?? patienceMs(options.input),
      killSignal: "SIGKILL",
      env: { ...process.env, PATH: withSystemPrograms(process.env.PATH), LC_ALL: "C" },
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {
      // The program ended before it read everything: its exit code says why.
    });
    child.on("error", (cause: NodeJS.ErrnoException) => reject(startError(program, cause)));
    child.on("close", (code, signal) => {
      const result = { code: code ?? -1, stdout: text(stdout), stderr: text(stderr) };
      if (code === 0 || options.okCodes?.includes(result.code)) return resolve(result);
      const why = result.stderr.trim() || (signal ? `killed by ${signal}` : `exit code ${code}`);
      reject(new XgwError(`${program} ${args.join(" ")}: ${why}`, { details: { program, args, code, signal } }));
    });
    child.stdin.end(options.input ?? "");
  });
}

/**
 * Starts a program that outlives this process and its terminal, and waits until it says something: that it has begun. What it says
 * later is lost.
 *
 * @throws KernelError when the program is not installed
 * @throws XgwError when it ends without a word on its standard output
 */
export function startDetached(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, cwd: "/" });
    const stderr: Buffer[] = [];
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.on("error", (cause: NodeJS.ErrnoException) => reject(startError(program, cause)));
    child.on("close", (code, signal) => {
      const why = text(stderr).trim() || `it ended with ${signal ?? code}`;
      reject(new XgwError(`${program} ${args.join(" ")}: ${why}`, { details: { program, args, code, signal } }));
    });
    child.stdout.once("data", () => {
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      resolve();
    });
  });
}

function text(chunks: Buffer[]): string {
  return Buffer.concat(chunks).toString("utf8");
}

export interface CaptureOptions {
  /** Milliseconds after which the program is killed, with what it has started. */
  readonly timeoutMs: number;
  /** Of its standard output, bytes. */
  readonly maxBytes: number;
  /** Which part is kept of what is longer: with `start` the program is killed then. */
  readonly keep?: "start" | "end";
}

export interface Captured {
  /** Undefined when it was killed. */
  readonly exitCode: number | undefined;
  readonly stdout: Buffer;
  /** The first 2 KiB. */
  readonly stderr: string;
  /** Whether there was more on standard output. */
  readonly truncated: boolean;
  readonly timedOut: boolean;
}

const maxStderrBytes = 2048;

/**
 * Runs a program that may fail, hang or say too much, without input, and takes what it says within bounds of time and size.
 *
 * @throws KernelError when the program is not installed, XgwError when it cannot be started
 */
export function capture(program: string, args: readonly string[], options: CaptureOptions): Promise<Captured> {
  const { timeoutMs, maxBytes, keep = "start" } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // a process group of its own, to be killed as a whole
      env: { ...process.env, PATH: withSystemPrograms(process.env.PATH), LC_ALL: "C" },
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let [bytes, stderrBytes] = [0, 0];
    let truncated = false;
    const finish = (exitCode: number | undefined, timedOut: boolean) => {
      clearTimeout(timer);
      const all = Buffer.concat(stdout);
      const kept = keep === "end" ? all.subarray(-maxBytes) : all.subarray(0, maxBytes);
      truncated ||= all.length > maxBytes;
      resolve({ exitCode, stdout: kept, stderr: firstWords(text(stderr)), truncated, timedOut });
    };
    // One that the kernel does not let die is not waited for.
    const giveUp = (timedOut: boolean) => {
      killGroup(child.pid);
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      finish(undefined, timedOut);
    };
    const timer = setTimeout(() => giveUp(true), timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      stdout.push(chunk);
      bytes += chunk.length;
      if (keep === "start" && bytes > maxBytes) giveUp(false);
      for (let [first] = stdout; keep === "end" && first && bytes - first.length >= maxBytes; [first] = stdout) {
        stdout.shift();
        bytes -= first.length;
        truncated = true;
      }
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (stderrBytes < maxStderrBytes) stderr.push(chunk);
      stderrBytes += chunk.length;
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(startError(program, cause));
    });
    child.on("close", (code) => finish(code ?? undefined, false));
  });
}

/** Not half a word, which could be half an address. */
const firstWords = (words: string): string =>
  words.length <= maxStderrBytes ? words : words.slice(0, maxStderrBytes).replace(/\S*$/, "");

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

function startError(program: string, cause: NodeJS.ErrnoException): XgwError {
  if (cause.code !== "ENOENT") return new XgwError(`${program}: ${cause.message}`, { cause });
  return new KernelError(`${program} is not installed`, { cause, remedy: `install ${packageOf(program)}` });
}

/** The Debian package that has the program. */
function packageOf(program: string): string {
  const packages: Record<string, string> = {
    ip: "iproute2",
    nft: "nftables",
    modprobe: "kmod",
    sysctl: "procps",
    dmesg: "util-linux",
    lscpu: "util-linux",
    journalctl: "systemd",
    tc: "iproute2",
  };
  return packages[program] ?? program;
}
