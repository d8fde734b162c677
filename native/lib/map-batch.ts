/** Many elements a system call, and the same by single calls where the kernel cannot. */
import { addon } from "./addon.js";
import { EINTR, EINVAL, ENOENT, ENOSPC, ENOTSUPP, EOPNOTSUPP } from "./errno.js";
import { BpfError, invalid } from "./error.js";
import type { BpfMap } from "./map.js";
import { walkKeys } from "./map-iterate.js";

/** Elements packed one behind the other: the i-th key lies at i × keySize, the i-th value at i × valueStride. */
export interface Batch {
  keys: Buffer;
  values: Buffer;
  count: number;
}

export interface BatchOptions {
  /** Elements a system call; 4096 if not given. */
  size?: number;
}

/** Elements handed to the kernel in one call: bounded, so that a call takes milliseconds and not seconds. */
const UPDATE_CHUNK = 65_536;

/** What the kernel says when a map's type has no batch operation (which code, differs by kernel and type). */
function unsupported(rc: number): boolean {
  return rc === -ENOTSUPP || rc === -EOPNOTSUPP || rc === -EINVAL;
}

/** @internal */
export function readBatches(map: BpfMap, options: BatchOptions, andDelete: boolean): Generator<Batch> {
  const batches = kernelBatches(map, options, andDelete);
  // A trie's cursor is a key: if that is deleted meanwhile, the kernel begins anew.
  return map.type === "lpm_trie" ? unrepeated(map, batches) : batches;
}

/** Leaves out elements that came before. */
function* unrepeated(map: BpfMap, batches: Generator<Batch>): Generator<Batch> {
  const { keySize, valueStride } = map;
  const seen = new Set<string>();
  // Each new beginning needs a deletion at the wrong moment; who deletes and adds without end shall not keep us for ever.
  let patience = map.maxEntries * 2 + 1024;
  for (const { keys, values, count } of batches) {
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const key = keys.toString("latin1", i * keySize, (i + 1) * keySize);
      if (seen.has(key)) continue;
      seen.add(key);
      if (kept !== i) {
        keys.copyWithin(kept * keySize, i * keySize, (i + 1) * keySize);
        values.copyWithin(kept * valueStride, i * valueStride, (i + 1) * valueStride);
      }
      kept++;
    }
    if (kept > 0) {
      yield { keys: keys.subarray(0, kept * keySize), values: values.subarray(0, kept * valueStride), count: kept };
    }
    patience -= count;
    if (patience < 0) return;
  }
}

function* kernelBatches(map: BpfMap, options: BatchOptions, andDelete: boolean): Generator<Batch> {
  const operation = andDelete ? "take batch from" : "get batch from";
  let size = Math.max(1, Math.min(options.size ?? 4096, map.maxEntries));
  let cursor = Buffer.alloc(Math.max(8, map.keySize));
  let next = Buffer.alloc(cursor.length);
  let started = false;
  let interruptions = 1000;
  let keys = Buffer.allocUnsafe(size * map.keySize);
  let values = Buffer.allocUnsafe(size * map.valueStride);
  for (;;) {
    const [rc, count] = addon.mapLookupBatch(map.fd, started ? cursor : undefined, next, keys, values, size, andDelete);
    if (rc === -ENOSPC) {
      // One bucket holds more than there is room for.
      size *= 2;
      keys = Buffer.allocUnsafe(size * map.keySize);
      values = Buffer.allocUnsafe(size * map.valueStride);
      continue;
    }
    if (!started && unsupported(rc)) {
      yield* readSingly(map, size, andDelete);
      return;
    }
    // EINTR: elements vanished under a trie's walk; what was found until then counts, and the walk goes on from there.
    if (rc === -EINTR && interruptions-- > 0) {
      if (count === 0) continue;
    } else if (rc < 0 && rc !== -ENOENT) {
      throw new BpfError({ operation, objectName: `map ${map.name}`, errno: rc });
    }
    if (count > 0) {
      yield {
        keys: keys.subarray(0, count * map.keySize),
        values: values.subarray(0, count * map.valueStride),
        count,
      };
    }
    if (rc === -ENOENT) return;
    started = true;
    [cursor, next] = [next, cursor];
  }
}

function* readSingly(map: BpfMap, size: number, andDelete: boolean): Generator<Batch> {
  const keys = Buffer.allocUnsafe(size * map.keySize);
  const values = Buffer.allocUnsafe(size * map.valueStride);
  let count = 0;
  for (const key of walkKeys(map)) {
    const slot = values.subarray(count * map.valueStride, (count + 1) * map.valueStride);
    let rc = addon.mapLookup(map.fd, key, slot, 0);
    if (rc === 0 && andDelete) rc = addon.mapDelete(map.fd, key);
    if (rc === -ENOENT) continue;
    if (rc < 0) {
      throw new BpfError({
        operation: andDelete ? "take batch from" : "get batch from",
        objectName: `map ${map.name}`,
        errno: rc,
      });
    }
    keys.set(key, count * map.keySize);
    if (++count === size) {
      yield { keys, values, count };
      count = 0;
    }
  }
  if (count > 0) {
    yield { keys: keys.subarray(0, count * map.keySize), values: values.subarray(0, count * map.valueStride), count };
  }
}

/** @internal */
export function updateBatch(map: BpfMap, keys: Uint8Array, values: Uint8Array, flags: number): number {
  const { keySize, valueStride } = map;
  const total = elementsIn(map, keys, "set batch in");
  if (values.byteLength !== total * valueStride) {
    throw invalid(
      "set batch in",
      `map ${map.name}`,
      `expected ${total} values of ${valueStride} bytes, got ${values.byteLength} bytes`,
    );
  }
  for (let done = 0; done < total; ) {
    const chunk = Math.min(UPDATE_CHUNK, total - done);
    const someKeys = keys.subarray(done * keySize, (done + chunk) * keySize);
    const someValues = values.subarray(done * valueStride, (done + chunk) * valueStride);
    let [rc, count] = addon.mapUpdateBatch(map.fd, someKeys, someValues, chunk, flags);
    if (rc < 0 && unsupported(rc)) {
      // A kernel that lacks the call leaves the count as it was; one that refused an element says how many it had set.
      if (count >= chunk) count = 0;
      [rc, count] = updateSingly(map, someKeys, someValues, count, chunk, flags);
    }
    if (rc < 0) {
      throw new BpfError({
        operation: "set batch in",
        objectName: `map ${map.name}`,
        errno: rc,
      });
    }
    done += chunk;
  }
  return total;
}

function updateSingly(
  map: BpfMap,
  keys: Uint8Array,
  values: Uint8Array,
  from: number,
  to: number,
  flags: number,
): [rc: number, count: number] {
  for (let i = from; i < to; i++) {
    const key = keys.subarray(i * map.keySize, (i + 1) * map.keySize);
    const value = values.subarray(i * map.valueStride, (i + 1) * map.valueStride);
    const rc = addon.mapUpdate(map.fd, key, value, flags);
    if (rc < 0) return [rc, i];
  }
  return [0, to];
}

/** @internal */
export function deleteBatch(map: BpfMap, keys: Uint8Array): number {
  const { keySize } = map;
  const total = elementsIn(map, keys, "delete batch from");
  let deleted = 0;
  let batched = true;
  for (let done = 0; done < total; ) {
    if (batched) {
      const chunk = Math.min(UPDATE_CHUNK, total - done);
      const [rc, count] = addon.mapDeleteBatch(map.fd, keys.subarray(done * keySize, (done + chunk) * keySize), chunk);
      if (rc === 0) {
        deleted += chunk;
        done += chunk;
      } else if (rc === -ENOENT) {
        // The kernel stops at the first key that is missing: skip it.
        deleted += count;
        done += count + 1;
      } else if (unsupported(rc)) {
        batched = false;
      } else {
        throw new BpfError({ operation: "delete batch from", objectName: `map ${map.name}`, errno: rc });
      }
    } else {
      if (map.delete(keys.subarray(done * keySize, (done + 1) * keySize))) deleted++;
      done++;
    }
  }
  return deleted;
}

function elementsIn(map: BpfMap, keys: Uint8Array, operation: string): number {
  if (map.keySize === 0 || keys.byteLength % map.keySize !== 0) {
    throw invalid(
      operation,
      `map ${map.name}`,
      `${keys.byteLength} bytes of keys are no multiple of the key size, ${map.keySize}`,
    );
  }
  return keys.byteLength / map.keySize;
}
