/**
 * How rules are known to be those that xgw wrote. Once they are written they are read back, and a digest of what the kernel then
 * tells of them is the name of an empty chain beside them, the seal. What is read later has the same digest, or is somebody else's.
 */

import { createHash } from "node:crypto";

/** A chain of a table. */
export interface Chain {
  /** What becomes of packets that no rule decides about; of a chain on a hook only. */
  readonly policy?: number;
  /** Each rule's handle, and what it does, as the kernel tells it, in their order. */
  readonly rules: readonly Buffer[];
}

/**
 * Of chains in this order. What the kernel tells of one of xgw's rules never changes, for none of them counts. One that takes
 * another's place keeps its handle, but does something else; one that comes when another has gone has a handle of its own, also
 * where it does the same but for a nameless set that has got the name of one that has gone.
 */
export function digestOf(chains: Iterable<Chain | undefined>): string {
  const hash = createHash("sha256");
  for (const chain of chains) {
    hash.update(`chain ${chain?.policy ?? ""} ${chain?.rules.length ?? ""}\n`);
    for (const rule of chain?.rules ?? []) hash.update(`${rule.length}\n`).update(rule);
  }
  return hash.digest("hex").slice(0, 24);
}
