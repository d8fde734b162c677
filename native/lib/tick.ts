/** How fast the kernel's own clock ticks. */
import { addon } from "./addon.js";
import { check } from "./error.js";

let known: number | undefined;

/**
 * Jiffies a second, CONFIG_HZ: what `bpf_jiffies64` counts. By the resolution of CLOCK_MONOTONIC_COARSE, which is one of them
 * (clock_getres(2)).
 */
export function ticksPerSecond(): number {
  known ??= Math.round(1e9 / check(addon.tickNanoseconds(), "read the resolution of the kernel's clock"));
  return known;
}
