// How fast the kernel's clock ticks, by what it says of two clocks.
import { describe, expect, it, vi } from "vitest";
import { rateOf } from "../../../src/kernel/clock.js";

/** /proc/timer_list, so long after the boot. */
const timers = (seconds: number, rate: number) => `Timer List Version: v0.10
now at ${Math.round(seconds * 1e9)} nsecs
cpu: 0
jiffies: ${2 ** 32 + Math.floor((seconds - 300) * rate)}
`;

describe("the rate of jiffies", () => {
  for (const rate of [100, 250, 300, 1000])
    it(`is seen to be ${rate}, before and after they wrap`, () => {
      expect([10, 290, 310, 1e7].map((seconds) => rateOf(timers(seconds, rate)))).toEqual([rate, rate, rate, rate]);
    });

  it("cannot be told without both clocks, or when they agree", () => {
    expect([rateOf(""), rateOf(timers(300.2, 100))]).toEqual([undefined, undefined]);
  });

  it("is taken to be the highest until it can be told, and asked for until then", async () => {
    const readFileSync = vi.fn();
    vi.doMock("node:fs", () => ({ readFileSync }));
    vi.resetModules();
    const { ticksPerSecond } = await import("../../../src/kernel/clock.js");
    const told = [timers(300.2, 100), timers(400, 100), "read no more"].map((text) => {
      readFileSync.mockReturnValue(text);
      return ticksPerSecond();
    });
    expect(told).toEqual([1000, 100, 100]);
  });
});
