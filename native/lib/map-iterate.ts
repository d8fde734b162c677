/**
 * Iteration that ends and repeats nothing while others change the map.
 *
 * Where the kernel has batch lookups, their cursor (a bucket's number, not a key) makes that so. Elsewhere the next key is
 * asked for key by key; the kernel begins again when a key has vanished meanwhile, so what was seen is remembered.
 */
import { addon } from "./addon.js";
import { ENOENT } from "./errno.js";
import { BpfError } from "./error.js";
import type { BpfMap } from "./map.js";
import { readBatches } from "./map-batch.js";

/** @internal Keys by the kernel's "next key". */
export function* walkKeys(map: BpfMap): Generator<Buffer> {
  const seen = new Set<string>();
  let current: Buffer | undefined;
  // Each restart needs a deletion at the wrong moment; somebody who deletes and adds without end shall not keep us for ever.
  let patience = map.maxEntries * 2 + 1024;
  while (patience-- > 0) {
    const next = Buffer.allocUnsafe(map.keySize);
    const rc = addon.mapNextKey(map.fd, current, next);
    if (rc === -ENOENT) return;
    if (rc < 0) throw new BpfError({ operation: "iterate", objectName: `map ${map.name}`, errno: rc });
    const name = next.toString("latin1");
    if (!seen.has(name)) {
      seen.add(name);
      yield Buffer.from(next);
    }
    current = next;
  }
}

/** @internal */
export function* iterateKeys(map: BpfMap): Generator<Buffer> {
  for (const [key] of iterateEntries(map)) yield key;
}

/** @internal Values are of valueStride bytes. */
export function* iterateEntries(map: BpfMap): Generator<[key: Buffer, value: Buffer]> {
  const { keySize, valueStride } = map;
  for (const batch of readBatches(map, {}, false)) {
    const keys = Buffer.from(batch.keys);
    const values = Buffer.from(batch.values);
    for (let i = 0; i < batch.count; i++) {
      yield [keys.subarray(i * keySize, (i + 1) * keySize), values.subarray(i * valueStride, (i + 1) * valueStride)];
    }
  }
}
