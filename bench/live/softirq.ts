/** The kernel threads that take over when devices' work becomes too much at once. */
import { readdirSync, readFileSync } from "node:fs";
import { pinnedCpu } from "../pinned.js";

/** Of the CPU that this process is held to, or all. */
function threads(): string[] {
  const thread = `ksoftirqd/${pinnedCpu() ?? ""}`;
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      return thread.endsWith("/") ? name.startsWith(thread) : name === thread;
    } catch {
      return false; // has ended
    }
  });
}

let pids: string[] | undefined;

/** Nanoseconds that they have run; 0 where the kernel does not say (CONFIG_SCHED_INFO). */
export function softirqNs(): number {
  pids ??= threads();
  return pids.reduce((sum, pid) => {
    try {
      return sum + Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      return sum;
    }
  }, 0);
}
