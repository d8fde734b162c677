// The processes through which the daemon hears of changes may die.
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { type KernelMonitor, monitorKernel } from "../../src/kernel/monitor.js";

let monitor: KernelMonitor | undefined;
afterEach(() => monitor?.stop());

/** Process ids of the monitors that were started here. */
function children(program: string): number[] {
  try {
    const output = execFileSync("pgrep", ["-P", `${process.pid}`, "-x", program], { encoding: "utf8" });
    return output.trim().split("\n").map(Number);
  } catch {
    return []; // none
  }
}

async function until<T>(see: () => T | undefined): Promise<T> {
  for (const deadline = performance.now() + 60_000; ; await sleep(50)) {
    const seen = see();
    if (seen !== undefined) return seen;
    if (performance.now() > deadline) throw new Error("not seen within a minute");
  }
}

it("`ip monitor` that was killed is started again, and what it may have missed is looked for", async () => {
  let gaps = 0;
  monitor = monitorKernel(
    () => {},
    () => gaps++,
  );
  const first = await until(() => children("ip")[0]);
  process.kill(first, "SIGKILL");
  const second = await until(() => children("ip").find((pid) => pid !== first));
  await until(() => (gaps > 0 ? gaps : undefined));
  expect([second === first, gaps]).toEqual([false, 1]);
});
