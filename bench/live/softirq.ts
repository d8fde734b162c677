/** The kernel threads that take over when devices' work becomes too much at once. */
import { readFileSync } from "node:fs";
import { softirqThreads } from "../../vm/lab/softirqs.js";
import { pinnedCpu } from "../pinned.js";

let pids: string[] | undefined;

/** Nanoseconds that they have run; 0 where the kernel does not say (CONFIG_SCHED_INFO). */
export function softirqNs(): number {
  pids ??= softirqThreads(pinnedCpu());
  return pids.reduce((sum, pid) => {
    try {
      return sum + Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      return sum;
    }
  }, 0);
}
