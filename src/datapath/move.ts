/**
 * Moves what was learned to maps of another shape, beside the ones in use: an upgrade, a downgrade, a table of another size.
 *
 * The order, which `execute` keeps: the new programs are loaded with empty maps in `next`; the learners are replaced, so
 * that nothing is learned into the old table any more; the flows are moved; XDP is replaced; the new maps take the old
 * ones' places. A packet finds its flow in one table or the other at any time. What XDP deletes in the old table meanwhile
 * comes to the new one, and goes again, because a moved flow asks conntrack with its first packet.
 *
 * What the config says is not moved but written anew. Events are lost, and what is counted between the copy of the counters
 * and the change of programs.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { BpfMap, type BpfObject, type BpfProgram, type Layout } from "libbpf-ts";
import { crashPoint } from "../crash.js";
import { XgwError } from "../errors.js";
import type { Constants } from "./constants.js";
import { readStableBuckets } from "./flow-table.js";
import { readU16, readU32, u32 } from "./layout.js";
import { reuseMap } from "./load.js";
import { type MapShape, shapeDifferences, shapeOfMap, shapeOfSpec } from "./map-shape.js";
import { type Transform, transformOf } from "./map-transform.js";
import { moverFile, objectsFor, openObject, pinnedMapNames } from "./objects.js";
import type { Pins } from "./pins.js";
import { attachedPrograms, mapIdsOf } from "./programs.js";

/** Maps that are used together: when one moves, or an older version did not have it, all move. */
const groups = [
  ["encaps", "encaps_taken", "encap_usage", "encap_returned"],
  ["flows", "flow_locks", "flow_usage"],
] as const;

/** Of hash or array type, one record by the other. */
const copied = [
  "conntrack",
  "denials",
  "generations",
  "losses",
  "nic_macs",
  "reason_stats",
  "rules",
  "rule_stats",
  "unsent",
] as const;

/**
 * Pinned maps that this version's programs cannot use, with what is different.
 *
 * @throws XgwError naming a field of which the old map has nothing
 */
export function mapsToMove(pins: Pins, constants: Constants): Map<string, string> {
  const moving = new Map<string, string>();
  for (const { file } of objectsFor(constants)) {
    using object = openObject(file, pins.instance, constants);
    for (const name of pinnedMapNames(object)) {
      if (moving.has(name) || !pins.maps().includes(name)) continue;
      using map = BpfMap.openPinned(pins.oldMap(name));
      const [was, now] = [shapeOfMap(map), shapeOfSpec(object, name)];
      const differences = shapeDifferences(was, now);
      if (differences.length === 0) continue;
      moving.set(name, differences.join(", "));
      checkMovable(name, was, now);
    }
  }
  const pinned = new Set(pins.maps());
  const moveAll = (names: readonly string[]) => {
    for (const name of names) if (!moving.has(name)) moving.set(name, "with what it belongs to");
  };
  for (const group of groups) {
    const isThere = group.some((name) => pinned.has(name));
    if (isThere && group.some((name) => moving.has(name) || !pinned.has(name))) moveAll(group);
  }
  if (moving.has("encaps")) moveAll(groups[1]); // flows lead to templates by their places
  return moving;
}

function checkMovable(name: string, was: MapShape, now: MapShape): void {
  if (name === "flows") flowTransform(was, now);
  else if (name === "encaps") recordTransform(name, was, now);
  else if ((copied as readonly string[]).includes(name)) {
    recordTransform(name, was, now);
    if (was.key && now.key) transformOf(name, was.key, now.key, now.tags);
  }
}

function recordTransform(name: string, was: MapShape, now: MapShape): Transform {
  if (was.value && now.value) return transformOf(name, was.value, now.value, now.tags);
  throw cannotMove(name, "the kernel does not say what is in it");
}

function cannotMove(name: string, why: string): XgwError {
  return new XgwError(`the map ${name} cannot be moved to its new shape: ${why}`, {
    remedy: "run `xgw teardown` with the older version, then `xgw apply`; live flows start again by the kernel",
  });
}

/** The lines of a table of buckets. */
function lineOf(shape: MapShape): Layout {
  const bucket = shape.value;
  const ways = bucket?.kind === "struct" ? bucket.fields.find(({ name }) => name === "ways")?.layout : undefined;
  if (shape.type === "array" && ways?.kind === "array" && ways.element.kind === "struct") return ways.element;
  throw cannotMove("flows", "it is no table of buckets");
}

function flowTransform(was: MapShape, now: MapShape): Transform {
  return transformOf("flows", lineOf(was), lineOf(now), now.tags);
}

/** Whether the data path's programs use maps that are in `next`. */
export function usesNext(pins: Pins, fingerprint: string): boolean {
  return pins.isComplete(fingerprint) && areIn(pins, mapIdsOf(pins, fingerprint));
}

function areIn(pins: Pins, ids: ReadonlySet<number>): boolean {
  return pins.nextMaps().some((name) => {
    using map = BpfMap.openPinned(pins.nextMap(name));
    return ids.has(map.info.id);
  });
}

/**
 * Ends a move that a run of another version has begun and died in: if XDP has been replaced, the flows have moved.
 *
 * @param fingerprint of the data path that is wanted; if it is there, it is for the plan to go on
 */
export function settleOther(pins: Pins, fingerprint: string): void {
  if (pins.nextMaps().length === 0 || pins.isComplete(fingerprint)) return;
  const xdp = attachedPrograms(pins).filter(({ attachment }) => attachment.startsWith("xdp_"));
  if (xdp.some(({ mapIds }) => areIn(pins, new Set(mapIds)))) pins.commitNext();
  else pins.dropNext();
}

/**
 * What the new learners read at once: the flows that they learn belong to a generation and are counted for a rule. Once more
 * it does no harm: what the old maps have does not change any more once the old learners have gone, but for generations, which
 * move on in both.
 */
export function copyFirst(pins: Pins): void {
  const moving = pins.nextMaps();
  for (const name of ["generations", "rules"]) if (moving.includes(name)) copyMap(pins, name);
}

/** What became of the flows. */
export interface Moved {
  readonly flows: number;
  /** Of tenants that have changed since: nobody follows them. */
  readonly stale: number;
  /** Those that the new tables have no place for, which the kernel carries again. */
  readonly left: number;
}

const nothingMoved: Moved = { flows: 0, stale: 0, left: 0 };

/** A learner that was just running when it was replaced is done by then. */
const learnersGoneMs = 20;

/**
 * Moves what was learned. The learners have been replaced. Where the new tables are too small, the flows that stay are chosen
 * as among those that are learned: who is over its share gives first.
 */
export async function moveLearned(pins: Pins, constants: Constants): Promise<Moved> {
  await sleep(learnersGoneMs);
  const moving = new Set(pins.nextMaps());
  for (const name of ["conntrack", "denials", "losses", "stats", "rule_stats"])
    if (moving.has(name)) copyMap(pins, name);
  const old = new Set(pins.maps());
  // Without their templates, as a teardown that died leaves them, flows lead nowhere. Where nothing says so any more (both
  // maps of the templates are gone), they stay, of no use: programs that were gone make all tenants' flows be decided anew.
  const isLost = moving.has("encaps") && !old.has("encaps");
  if (!moving.has("flows") || !old.has("flows") || isLost) return nothingMoved;
  using mover = openMover(pins, constants);
  const moved = moveFlows(pins, mover, moving.has("encaps") ? encapMover(pins, mover) : undefined);
  crashPoint("flows moved");
  return moved;
}

/** Loaded over the maps that the newest programs use. The caller closes it. */
export function openMover(pins: Pins, constants: Constants): BpfObject {
  const object = openObject(moverFile, pins.instance, constants);
  try {
    for (const name of pinnedMapNames(object)) reuseMap(object, name, pins.map(name));
    return object.load();
  } catch (error) {
    object.close();
    throw error;
  }
}

/** Keys that are there already stay as they are: the new programs have written them. */
function copyMap(pins: Pins, name: string): void {
  if (!pins.maps().includes(name)) return;
  using from = BpfMap.openPinned(pins.oldMap(name));
  using to = BpfMap.openPinned(pins.nextMap(name));
  const [was, now] = [shapeOfMap(from), shapeOfMap(to)];
  const keyTransform = was.key && now.key ? transformOf(name, was.key, now.key, now.tags) : undefined;
  const valueTransform = recordTransform(name, was, now);
  const isArray = from.type.endsWith("array");
  const step = Math.ceil(from.valueSize / 8) * 8;
  const newValue = (values: Buffer, at: number) => {
    const value = Buffer.alloc(to.valueSize);
    valueTransform(values, at, value, 0);
    return value;
  };
  for (const { keys, values, count } of from.batches())
    for (let n = 0; n < count; n++) {
      const at = n * from.valueStride;
      const old = values.subarray(at, at + from.valueStride);
      if (isArray && old.every((byte) => byte === 0)) continue;
      if (isArray && readU32(keys, n) >= to.maxEntries)
        throw cannotMove(name, `it has ${to.maxEntries} entries now, and entry ${readU32(keys, n)} is in use`);
      const key = Buffer.alloc(to.keySize);
      if (keyTransform) keyTransform(keys, n * from.keySize, key, 0);
      else keys.copy(key, 0, n * from.keySize, (n + 1) * from.keySize);
      if (from.perCpu)
        to.setPerCpu(
          key,
          Array.from({ length: from.valueStride / step }, (_, cpu) => newValue(old, cpu * step)),
        );
      else if (isArray || !to.has(key)) to.set(key, newValue(old, 0));
    }
  crashPoint(`map ${name} copied`);
}

/** struct orders of bpf/migrate.bpf.c: count, done, added, known, stale, refused, evicted. */
const ordersBytes = 28;
/** What fits into a test run's packet: a page without the room that the kernel keeps in front and behind. */
const packetBytes = 3400;

interface Results {
  readonly added: number;
  readonly known: number;
  readonly stale: number;
  readonly refused: number;
  /** Others, that had to go for those that were added. */
  readonly evicted: number;
  /** The records, as the program left them. */
  readonly records: Buffer;
}

/** Has the program do so many records, of which there is room for `packetBytes`. */
export function runOn(program: BpfProgram, records: Buffer, count: number): Results {
  const orders = Buffer.alloc(ordersBytes);
  u32(count).copy(orders);
  const { data } = program.testRun({ data: Buffer.concat([orders, records]) });
  const [, done, ...counts] = Array.from({ length: ordersBytes / 4 }, (_, word) => readU32(data, word));
  const [added = 0, known = 0, stale = 0, refused = 0, evicted = 0] = counts;
  if (done !== count) throw new XgwError(`only ${done} of ${count} records could be moved`);
  return { added, known, stale, refused, evicted, records: data.subarray(ordersBytes) };
}

/** A template's new id; undefined when it has none. */
type EncapMover = (id: number, tenant: number) => number | undefined;

/**
 * Templates move when the first flow of a tenant's does that leads there: those that nobody needs stay behind, and one that
 * an older version had for more than one tenant becomes one for each.
 */
function encapMover(pins: Pins, mover: BpfObject): EncapMover {
  using from = BpfMap.openPinned(pins.oldMap("encaps"));
  const now = shapeOfSpec(mover, "encaps");
  const transform = recordTransform("encaps", shapeOfMap(from), now);
  const tenantAt = offsetOf(now.value as Layout, "tenant");
  const program = mover.program("xgw_move_encaps");
  const ready = new Map<number, Buffer>();
  for (const { keys, values, count } of from.batches())
    for (let n = 0; n < count; n++) {
      const record = Buffer.alloc(now.valueSize);
      transform(values, n * from.valueStride, record, 0);
      if (readU32(record, 0) === encapReady) ready.set(readU32(keys, n), record);
    }
  const ids = new Map<string, number | undefined>();
  return (id, tenant) => {
    const record = ready.get(id);
    const name = `${id} ${tenant}`;
    if (!record || ids.has(name)) return ids.get(name);
    u32(tenant).copy(record, tenantAt);
    const { refused, records } = runOn(program, record, 1);
    ids.set(name, refused > 0 ? undefined : readU32(records, 0));
    return ids.get(name);
  };
}

/** ENCAP_READY of bpf/lib/encap.h, in the first field. */
const encapReady = 2;

function moveFlows(pins: Pins, mover: BpfObject, moveEncap: EncapMover | undefined): Moved {
  using from = BpfMap.openPinned(pins.oldMap("flows"));
  const [was, now] = [shapeOfMap(from), shapeOfSpec(mover, "flows")];
  const [oldLine, newLine] = [lineOf(was), lineOf(now)];
  const transform = flowTransform(was, now);
  const [encapAt, tenantAt] = [offsetOf(newLine, "encap"), offsetOf(newLine, "tenant")];
  const room = Math.floor(packetBytes / newLine.size);
  const program = mover.program("xgw_move_flows");
  const sums = { flows: 0, stale: 0, left: 0 };
  let records = Buffer.alloc(room * newLine.size);
  let count = 0;
  const flush = () => {
    if (count === 0) return;
    const { added, known, stale, refused, evicted } = runOn(program, records.subarray(0, count * newLine.size), count);
    sums.flows += added + known - evicted;
    sums.stale += stale;
    sums.left += refused + evicted;
    records = Buffer.alloc(room * newLine.size);
    count = 0;
  };
  const fields = {
    bytes: oldLine.size,
    protocol: offsetOf(oldLine, "key.protocol"),
    sequence: offsetOf(oldLine, "sequence"),
  };
  for (const [bucket, at] of readStableBuckets(from, fields)) {
    const record = count * newLine.size;
    transform(bucket, at, records, record);
    if (moveEncap) {
      const id = moveEncap(readU16(records, record + encapAt), readU16(records, record + tenantAt));
      if (id === undefined) {
        sums.left++; // there is no place for its template, or it came after they were read: the kernel decides it anew
        continue;
      }
      u32(id).copy(records, record + encapAt, 0, 2);
    }
    if (++count === room) flush();
  }
  flush();
  return sums;
}

/** Bytes from the start of a struct to a field of it, by its path. */
function offsetOf(layout: Layout, path: string): number {
  const [name, ...rest] = path.split(".");
  const field = layout.kind === "struct" ? layout.fields.find((candidate) => candidate.name === name) : undefined;
  if (!field) throw cannotMove("flows", `it has no field ${path}`);
  return field.offset + (rest.length > 0 ? offsetOf(field.layout, rest.join(".")) : 0);
}
