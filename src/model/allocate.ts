import { XgwError } from "../errors.js";
import { maxTenants } from "./desired.js";

/**
 * Tenant ids for GRE keys: a key that has an id keeps it, the others get the lowest free ids in the order given.
 *
 * The id of a tenant that is going away is not handed out again at once, for its devices and flows may outlive it by a
 * moment (adds come before deletes); it is taken only when nothing else is left.
 *
 * @param keys GRE keys in config order, each once
 * @param idsInUse key -> id, as read back from the kernel; entries out of range or with an id twice count as no entry
 * @param isTaken whether somebody else has an id, another instance in the same network namespace
 * @returns key -> id, ids from 1 to maxTenants - 1, in the order of `keys`
 * @throws RangeError when there are more keys than ids; the config check refuses such a config with a place and a remedy
 * @throws IdsTaken when others have too many of them
 */
export function allocateIds(
  keys: readonly number[],
  idsInUse: ReadonlyMap<number, number> = new Map(),
  isTaken: (id: number) => boolean = () => false,
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
  const free = freeIds(taken, new Set(leaving), isTaken);
  const ids = new Map<number, number>();
  for (const key of keys) {
    const id = kept.get(key) ?? free.next().value;
    if (id === undefined) throw new IdsTaken(keys.length, maxTenants - 1 - takenOf(isTaken));
    ids.set(key, id);
  }
  return ids;
}

export class IdsTaken extends XgwError {
  constructor(tenants: number, left: number) {
    super(`other instances in this network namespace leave ids for ${left} tenants, and the config has ${tenants}`, {
      remedy: "remove tenants here or there, or give one of the instances a network namespace of its own",
    });
  }
}

function takenOf(isTaken: (id: number) => boolean): number {
  let taken = 0;
  for (let id = 1; id < maxTenants; id++) if (isTaken(id)) taken++;
  return taken;
}

/** Lowest ids first, those of leaving tenants last. */
function* freeIds(
  taken: ReadonlySet<number>,
  leaving: ReadonlySet<number>,
  isTaken: (id: number) => boolean,
): Generator<number, undefined, void> {
  for (let id = 1; id < maxTenants; id++) if (!taken.has(id) && !leaving.has(id) && !isTaken(id)) yield id;
  for (let id = 1; id < maxTenants; id++) if (!taken.has(id) && leaving.has(id)) yield id;
  return undefined;
}
