// How fast the kernel's clock ticks, beside what the kernel shows of it.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ticksPerSecond } from "libbpf-ts";
import { expect, it } from "vitest";

function readTimers(): { readonly jiffies: number; readonly seconds: number } {
  const text = readFileSync("/proc/timer_list", "utf8");
  const numberAfter = (pattern: RegExp) => Number(pattern.exec(text)?.[1]);
  return { jiffies: numberAfter(/^jiffies: (\d+)$/m), seconds: numberAfter(/^now at (\d+) nsecs$/m) / 1e9 };
}

it("is one of the rates that a kernel can be built with", () => {
  expect([100, 250, 300, 1000]).toContain(ticksPerSecond());
});

it("is how fast jiffies go", async () => {
  const before = readTimers();
  await sleep(500);
  const after = readTimers();
  const rate = (after.jiffies - before.jiffies) / (after.seconds - before.seconds);
  expect(Math.abs(rate - ticksPerSecond())).toBeLessThan(ticksPerSecond() / 5);
});
