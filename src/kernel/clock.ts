/** The kernel's own clock, which says nowhere how fast it ticks. */

import { readFileSync } from "node:fs";

/** The choices of CONFIG_HZ. */
const rates = [100, 250, 300, 1000] as const;
/** INITIAL_JIFFIES of include/linux/jiffies.h: so long before it wraps. */
const wrapSeconds = 300;
/** Where nothing can be read: what is reckoned with it is longer than meant, and never shorter. */
const fastest = 1000;

let known: number | undefined;

/** Jiffies a second. The same for as long as the machine runs, once it can be told. */
export function ticksPerSecond(): number {
  known ??= rateOf(readTimers());
  return known ?? fastest;
}

function readTimers(): string {
  try {
    return readFileSync("/proc/timer_list", "utf8");
  } catch {
    return "";
  }
}

/**
 * By a clock of known rate that stands beside it. Jiffies begin at 2^32 less 300 seconds of them, so the two agree 300 s
 * after the boot, and just then nothing can be told.
 *
 * @param timers /proc/timer_list
 * @returns undefined when it cannot be told
 */
export function rateOf(timers: string): number | undefined {
  const jiffies = /^jiffies: (\d+)$/m.exec(timers)?.[1];
  const nanoseconds = /^now at (\d+) nsecs$/m.exec(timers)?.[1];
  if (jiffies === undefined || nanoseconds === undefined) return undefined;
  const seconds = Number(nanoseconds) / 1e9 - wrapSeconds;
  if (Math.abs(seconds) < 1) return undefined;
  const rate = (Number(jiffies) - 2 ** 32) / seconds;
  return rates.find((candidate) => Math.abs(candidate - rate) < candidate / 20);
}
