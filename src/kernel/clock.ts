/** The kernel's own clock, in which the programs reckon ages. */

import { ticksPerSecond } from "libbpf-ts";

/** Less than half of what its 32 bits hold. */
export const ticksIn = (seconds: number): number => Math.min(Math.ceil(seconds * ticksPerSecond()), 0x7fff_ffff);

/** Jiffies at boot: five minutes before their lower 32 bits begin anew (INITIAL_JIFFIES). */
const initialSeconds = -300;

/** The lower 32 bits of the clock, to within a second: the kernel counts it from its own beginning. */
export function ticksNow(): number {
  const perSecond = ticksPerSecond();
  const sinceBoot = (process.hrtime.bigint() * BigInt(perSecond)) / 1_000_000_000n;
  return Number(BigInt.asUintN(32, sinceBoot + BigInt(initialSeconds * perSecond)));
}

/** From a moment of the clock until now, seconds; 0 for one that is still to come. */
export const secondsSince = (ticks: number, now: number): number => Math.max(0, (now - ticks) | 0) / ticksPerSecond();
