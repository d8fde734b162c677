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
      env: environment(),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {
      // The program ended before it read everything: its exit code says why.
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOENT") return reject(new XgwError(`${program}: ${cause.message}`, { cause }));
      reject(new KernelError(`${program} is not installed`, { cause, remedy: `install ${packageOf(program)}` }));
    });
    child.on("close", (code, signal) => {
      const result = { code: code ?? -1, stdout: text(stdout), stderr: text(stderr) };
      if (code === 0 || options.okCodes?.includes(result.code)) return resolve(result);
      const why = result.stderr.trim() || (signal ? `killed by ${signal}` : `exit code ${code}`);
      reject(new XgwError(`${program} ${args.join(" ")}: ${why}`, { details: { program, args, code, signal } }));
    });
    child.stdin.end(options.input ?? "");
  });
}

/** What a program said, however it ended. */
export interface Captured {
  /** Undefined when it was not begun, or was killed. */
  readonly code: number | undefined;
  /** The first `maxBytes` of it. */
  readonly stdout: Buffer;
  /** The first characters of it, for people. */
  readonly stderr: string;
  /** Why it is not whole; undefined when it is. */
  readonly cut: "size" | "time" | "not installed" | undefined;
}

/** Of stderr, bytes. */
const saidBytes = 2000;

/**
 * Runs a program for its output. It is killed when its time is over or it has said enough. Never throws: that it is not there, or
 * fails, is part of the answer.
 */
export function capture(
  program: string,
  args: readonly string[],
  { timeoutMs, maxBytes }: { readonly timeoutMs: number; readonly maxBytes: number },
): Promise<Captured> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: environment() });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let [room, said] = [maxBytes, saidBytes];
    let cut: Captured["cut"];
    const end = (why: Captured["cut"]) => {
      cut ??= why;
      child.kill("SIGKILL");
      // What it has started may hold the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => end("time"), timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      stdout.push(chunk.subarray(0, room));
      room -= Math.min(room, chunk.length);
      if (room === 0) end("size");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr.push(chunk.subarray(0, said));
      said -= Math.min(said, chunk.length);
    });
    const done = (code: number | undefined, words = text(stderr)) => {
      clearTimeout(timer);
      resolve({ code, stdout: Buffer.concat(stdout), stderr: words, cut });
    };
    child.on("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") cut = "not installed";
      done(undefined, cause.message);
    });
    child.on("close", (code) => done(code ?? undefined));
  });
}

const environment = () => ({ ...process.env, PATH: withSystemPrograms(process.env.PATH), LC_ALL: "C" });

function text(chunks: Buffer[]): string {
  return Buffer.concat(chunks).toString("utf8");
}

/** The Debian package that has the program. */
function packageOf(program: string): string {
  const packages: Record<string, string> = {
    ip: "iproute2",
    nft: "nftables",
    modprobe: "kmod",
  };
  return packages[program] ?? program;
}
