/** The kernel's own clock, in which the programs reckon ages. */

import { ticksPerSecond } from "libbpf-ts";

/** Less than half of what its 32 bits hold. */
export const ticksIn = (seconds: number): number => Math.min(Math.ceil(seconds * ticksPerSecond()), 0x7fff_ffff);
