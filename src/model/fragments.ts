/**
 * The memory in which the kernel keeps fragments until their datagram is whole: one for the network namespace, and no
 * table of entries. What the programs refuse by it: bpf/lib/fragments.h. Pure.
 */

/** Bytes. */
export const fragmentLimits = {
  /** Anybody's: what the kernel has for all, when nobody sets it. */
  pool: 4 << 20,
  /** A tenant's: some 18 fragments of an Ethernet's size, and what goes with them. */
  share: 64 << 10,
  /** A NIC's: of all tunnelled packets in fragments that come by it, and of what is no tenant's. */
  nicShare: 1 << 20,
} as const;

/** NICs that may be over their share at one time. */
const nics = 4;
/** Tenants may come and go by so many before the kernel's limit has to change. */
const step = 32;
/** A fragment takes at most so much more of the kernel's memory than is counted for it. */
const roundedUp = 2;

/** What the kernel's limit has to be, so that each has its share when everybody takes all that there is. */
export function fragmentMemoryFor(tenants: number): number {
  const { pool, share, nicShare } = fragmentLimits;
  return pool + roundedUp * (nics * nicShare + Math.ceil(tenants / step) * step * share);
}
