/**
 * One xgw at a time per instance and network namespace, and one change at a time in a network namespace, whose ids of tenants
 * all instances share. A lock is one on a file below /run/xgw: the kernel frees it with the process, whatever it died of.
 * Whoever cannot have it is told who has. The lock of all instances is taken first, so that the holder of an instance's is at work.
 */

import { readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { FileLock } from "libbpf-ts";
import { BusyError } from "./errors.js";
import { prepareRuntimeDirectory, runtimeDirectory, runtimeFile } from "./runtime-directory.js";

export interface LockOptions {
  readonly instance: string;
  /** What the holder does, such as `apply`. */
  readonly purpose: string;
  /** How long to wait for another holder, milliseconds. */
  readonly waitMs: number;
  /** Nothing is touched but what the instance has pinned: changes of other instances are not waited for. */
  readonly isOwnOnly?: boolean;
  /** Where the lock's file is; /run/xgw unless given. */
  readonly directory?: string;
}

const retryMs = 50;
/** Of what a lock's file says of its holder, characters. */
const holderLength = 200;

/** @throws BusyError naming the holder, when it does not let go in time; ForeignError, PermissionError: see /run/xgw */
export async function withLock<T>(options: LockOptions, work: () => Promise<T>): Promise<T> {
  const { instance, purpose, waitMs, isOwnOnly = false, directory = runtimeDirectory } = options;
  prepareRuntimeDirectory(directory);
  const deadline = performance.now() + waitMs;
  const take = (name: string) =>
    takeInTime(runtimeFile(name, directory), holderText(`${purpose}, instance ${instance}`), deadline, instance);
  const ofAll = isOwnOnly ? undefined : await take(allInstances);
  try {
    const own = await take(`${instance}.lock`);
    try {
      return await work();
    } finally {
      own.release();
    }
  } finally {
    ofAll?.release();
  }
}

/** No instance has such a name. */
const allInstances = "_.lock";

async function takeInTime(path: string, holder: string, deadline: number, instance: string): Promise<FileLock> {
  for (;;) {
    const lock = FileLock.take(path, holder);
    if (lock) return lock;
    if (performance.now() > deadline)
      throw new BusyError(`xgw instance ${instance} has to wait for ${holderOf(path)}`, {
        remedy: "wait until it is done, or stop it",
      });
    await sleep(retryMs);
  }
}

/** Whether anybody holds the lock of a file, without a try to take it: the kernel lists all locks in /proc/locks. */
export function isHeld(path: string): boolean {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (!stat) return false;
  const [major, minor] = [(stat.dev >> 8n) & 0xfffn, (stat.dev & 0xffn) | ((stat.dev >> 12n) & 0xfff00n)];
  const hex = (number: bigint) => number.toString(16).padStart(2, "0");
  const place = `${hex(major)}:${hex(minor)}:${stat.ino}`;
  return readFileSync("/proc/locks", "utf8")
    .split("\n")
    .some((line) => / FLOCK .* WRITE /.test(line) && line.split(/\s+/).includes(place));
}

/** Of the daemon that has an instance, by whatever config file. */
export const daemonLock = (instance: string): string => `${instance}.daemon.lock`;

/** What a lock's file says of its holder: this process. */
export const holderText = (purpose: string): string => `process ${process.pid} (xgw ${purpose})`;

/** Who holds the lock of a file, as far as that can be told. */
export function holderOf(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(0, holderLength) || "another process";
  } catch {
    return "another process"; // it let go meanwhile
  }
}
