/**
 * Few descriptions of many connections. Deleting from conntrack costs a walk over all of it for each description, so that
 * connections which go are named by what they have in common, as long as none that stays has it too. Pure.
 */

import type { Connection } from "./admission.js";

/** What is not given does not matter. */
export interface Selector {
  readonly zone: number;
  readonly protocol?: number;
  readonly mark?: number;
  readonly source?: string;
  readonly sourcePort?: number;
  readonly destination?: string;
  readonly destinationPort?: number;
}

/** From what names most to what names one connection; ports count for TCP and UDP only. */
const widths: readonly ((connection: Connection) => Selector)[] = [
  ({ zone, protocol, original, mark }) => ({
    zone,
    protocol,
    mark,
    destination: original.destination,
    ...(hasPorts(protocol) ? { destinationPort: original.destinationPort } : {}),
  }),
  ({ zone, protocol, original, mark }) => ({ zone, protocol, mark, source: original.source }),
  ({ zone, protocol, original }) => ({
    zone,
    protocol,
    source: original.source,
    destination: original.destination,
    ...(hasPorts(protocol) ? { sourcePort: original.sourcePort, destinationPort: original.destinationPort } : {}),
  }),
];

const hasPorts = (protocol: number) => protocol === 6 || protocol === 17;

/** Selectors that together match all of `going`, and none of `staying` unless the two differ in nothing that counts. */
export function selectorsOf(going: readonly Connection[], staying: readonly Connection[]): Selector[] {
  const selectors: Selector[] = [];
  let left = going;
  for (const [at, width] of widths.entries()) {
    if (left.length === 0) break;
    const isLast = at === widths.length - 1;
    const spared = new Set(isLast ? [] : staying.map((connection) => JSON.stringify(width(connection))));
    const named = new Map<string, Selector>();
    const narrower: Connection[] = [];
    for (const connection of left) {
      const selector = width(connection);
      const name = JSON.stringify(selector);
      if (spared.has(name)) narrower.push(connection);
      else named.set(name, selector);
    }
    selectors.push(...named.values());
    left = narrower;
  }
  return selectors;
}
