/** The kernel's threads that go on with packets when there are too many of them at once. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Empty when the process has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Ids of the processes: of one CPU, or of all. */
export const softirqThreads = (cpu = "", proc = "/proc"): string[] =>
  readdirSync(proc)
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      const name = read(join(proc, pid, "comm")).trim();
      return cpu === "" ? name.startsWith("ksoftirqd/") : name === `ksoftirqd/${cpu}`;
    });

/** Whether one of them does not sleep. The state stands behind the name, which is in brackets. */
export const isBusy = (threads: readonly string[], proc = "/proc"): boolean =>
  threads.some((pid) => /\) [^S] /.test(read(join(proc, pid, "stat"))));

let all: readonly string[] | undefined;

/** Whether one of them has something to do, however long it has been waiting for a CPU to do it on. */
export function softirqsAreBusy(): boolean {
  all ??= softirqThreads();
  return isBusy(all);
}
