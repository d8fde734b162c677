import { maxTenants } from "./desired.js";

/**
 * Tenant ids for GRE keys: a key that has an id keeps it, the others get the lowest free ids in the order given.
 *
 * The id of a tenant that is going away is not handed out again at once, for its devices and flows may outlive it by a
 * moment (adds come before deletes); it is taken only when nothing else is left.
 *
 * @param keys GRE keys in config order, each once
 * @param idsInUse key -> id, as read back from the kernel; entries out of range or with an id twice count as no entry
 * @returns key -> id, ids from 1 to maxTenants - 1, in the order of `keys`
 * @throws RangeError when there are more keys than ids; the config check refuses such a config with a place and a remedy
 */
export function allocateIds(
  keys: readonly number[],
  idsInUse: ReadonlyMap<number, number> = new Map(),
): Map<number, number> {
  if (keys.length > maxTenants - 1) {
    throw new RangeError(`${keys.length} tenants are more than the ${maxTenants - 1} that one instance can hold`);
  }
  const wanted = new Set(keys);
  const kept = new Map<number, number>();
  const taken = new Set<number>();
  const leaving: number[] = [];
  for (const [key, id] of idsInUse) {
    if (!Number.isInteger(id) || id < 1 || id >= maxTenants) continue;
    if (!wanted.has(key)) {
      leaving.push(id);
    } else if (!taken.has(id)) {
      taken.add(id);
      kept.set(key, id);
    }
  }
  const free = freeIds(taken, new Set(leaving));
  const ids = new Map<number, number>();
  for (const key of keys) ids.set(key, kept.get(key) ?? (free.next().value as number));
  return ids;
}

/** Lowest ids first, those of leaving tenants last. */
function* freeIds(taken: ReadonlySet<number>, leaving: ReadonlySet<number>): Generator<number, void, void> {
  for (let id = 1; id < maxTenants; id++) if (!taken.has(id) && !leaving.has(id)) yield id;
  for (let id = 1; id < maxTenants; id++) if (!taken.has(id) && leaving.has(id)) yield id;
}
