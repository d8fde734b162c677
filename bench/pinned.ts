/** One CPU for the whole run: the last one, which devices' interrupts use least. */
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";

const mark = "XGW_BENCH_PINNED";

/** The CPU's number; undefined in a process that is not held to one. */
export function pinnedCpu(): string | undefined {
  return process.env[mark];
}

/** Runs this process again on one CPU and gives its exit status; undefined in the process that has to do the work. */
export function rerunPinned(): number | undefined {
  if (process.env[mark]) return undefined;
  const cpu = String(cpus().length - 1);
  const { status, error } = spawnSync("taskset", ["-c", cpu, process.execPath, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, [mark]: cpu },
  });
  if (error) throw new Error(`cannot pin to CPU ${cpu}: ${error.message}`);
  return status ?? 1;
}

/** Lets this process use all CPUs while it waits for a VM, which may use them. */
export async function onAllCpus<T>(work: () => Promise<T>): Promise<T> {
  const pin = (list: string) => spawnSync("taskset", ["-apc", list, String(process.pid)], { stdio: "ignore" });
  const cpu = pinnedCpu();
  if (cpu !== undefined) pin(`0-${cpus().length - 1}`);
  try {
    return await work();
  } finally {
    if (cpu !== undefined) pin(cpu);
  }
}
