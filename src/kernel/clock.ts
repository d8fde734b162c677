/** The kernel's own clock, in which the programs reckon ages. */

export { ticksPerSecond } from "libbpf-ts";
