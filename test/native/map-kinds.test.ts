/** Every kind of map, beside bpftool: what one writes the other reads. */
import { BpfMap, BpfObject, type MapInfo, possibleCpus, removePin } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { bpftool, failure, netNamespace, pinDirectory } from "./support/kernel.js";

function kinds(): BpfObject {
  const object = BpfObject.open(objectFile("kinds")).load();
  onTestFinished(() => object.close());
  return object;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function prefix(length: number, ...address: number[]): Buffer {
  return Buffer.from([...u32(length), ...address]);
}

/** bpftool's way to write bytes: "1 0 0 0". */
function words(bytes: Uint8Array): string[] {
  return [...bytes].map(String);
}

/** bpftool's way to print bytes: "0x01". */
function hex(bytes: Uint8Array): string[] {
  return [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, "0")}`);
}

interface Dumped {
  key: string[];
  value?: string[];
  values?: { cpu: number; value: string[] }[];
}

function dump({ id }: MapInfo): Dumped[] {
  return bpftool(["map", "dump", "id", String(id)]) as Dumped[];
}

function update({ id }: MapInfo, key: Uint8Array | undefined, value: string[]): void {
  const where = key === undefined ? [] : ["key", ...words(key)];
  bpftool(["map", "update", "id", String(id), ...where, "value", ...value]);
}

const single = [
  ["k_hash", u32(1)],
  ["k_lru", u32(2)],
  ["k_array", u32(3)],
  ["k_lpm", prefix(24, 10, 0, 1, 0)],
] as const;

test.each(single)("%s: bpftool reads what we set", (name, key) => {
  const map = kinds().map(name);
  map.set(key, u64(77));
  expect(dump(map.info).map(({ key, value }) => ({ key, value }))).toContainEqual({
    key: hex(key),
    value: hex(u64(77)),
  });
});

test.each(single)("%s: we read what bpftool sets", (name, key) => {
  const map = kinds().map(name);
  update(map.info, key, words(u64(88)));
  expect(map.get(key)).toEqual(u64(88));
});

test.each(["k_hash", "k_lru", "k_lpm"])("%s: what we delete is gone for bpftool", (name) => {
  const map = kinds().map(name);
  const key = single.find(([n]) => n === name)?.[1] ?? u32(0);
  map.set(key, u64(1));
  expect([map.delete(key), map.delete(key), dump(map.info)]).toEqual([true, false, []]);
});

const perCpu = ["k_pcpu_hash", "k_pcpu_array", "k_lru_pcpu"];

test.each(perCpu)("%s: bpftool reads each CPU's value as we set it", (name) => {
  const map = kinds().map(name);
  const values = Array.from({ length: possibleCpus() }, (_, cpu) => u64(cpu + 10));
  map.setPerCpu(u32(1), values);
  const element = dump(map.info).find(({ key }) => key[0] === "0x01");
  expect(element?.values?.map(({ value }) => value)).toEqual(values.map(hex));
});

test.each(perCpu)("%s: we read on each CPU what bpftool sets", (name) => {
  const map = kinds().map(name);
  update(map.info, u32(1), words(u64(5)));
  expect(map.getPerCpu(u32(1))).toEqual(Array.from({ length: possibleCpus() }, () => u64(5)));
});

test("a per-CPU map refuses a plain value with a hint", () => {
  expect(failure(() => kinds().map("k_pcpu_hash").get(u32(1))).message).toBe(
    "get from map k_pcpu_hash: a percpu_hash map has a value for each CPU: use the PerCpu methods (EINVAL)",
  );
});

test("an LPM trie finds the longest prefix", () => {
  const map = kinds().map("k_lpm");
  map.set(prefix(8, 10, 0, 0, 0), u64(8));
  map.set(prefix(24, 10, 0, 1, 0), u64(24));
  expect(map.get(prefix(32, 10, 0, 1, 9))).toEqual(u64(24));
});

test("a queue gives bpftool and us the same elements in the order they came", () => {
  const map = kinds().map("k_queue");
  map.push(u64(1));
  update(map.info, undefined, words(u64(2)));
  const peeked = bpftool(["map", "peek", "id", String(map.info.id)]) as { value: string[] };
  expect([peeked.value, map.pop(), map.pop(), map.pop()]).toEqual([hex(u64(1)), u64(1), u64(2), undefined]);
});

test("a stack gives the last element first", () => {
  const map = kinds().map("k_stack");
  map.push(u64(1));
  map.push(u64(2));
  const popped = bpftool(["map", "pop", "id", String(map.info.id)]) as { value: string[] };
  expect([popped.value, map.pop()]).toEqual([hex(u64(2)), u64(1)]);
});

test("a full queue refuses a push, and takes it when the oldest may go", () => {
  const map = kinds().map("k_queue");
  for (let i = 1; i <= 4; i++) map.push(u64(i));
  const refused = failure(() => map.push(u64(5))).code;
  map.push(u64(5), { replace: true });
  expect([refused, map.pop()]).toEqual(["E2BIG", u64(2)]);
});

test("a program reads a map that we put into a map of maps, and bpftool sees its id", () => {
  const object = kinds();
  using inner = BpfMap.create({ type: "hash", name: "inner", keySize: 4, valueSize: 8, maxEntries: 4 });
  inner.set(u32(7), u64(55));
  const outer = object.map("k_hash_maps");
  outer.set(u32(1), u32(inner.fd));
  const through = object.program("through").testRun({ data: Buffer.alloc(64) }).retval;
  const inners = dump(outer.info).map(({ value }) => value);
  expect({ through, inners, read: outer.get(u32(1)) }).toEqual({
    through: 55,
    inners: [hex(u32(inner.info.id))],
    read: u32(inner.info.id),
  });
});

test("an array of maps takes what bpftool puts into it", () => {
  const outer = kinds().map("k_array_maps");
  using inner = BpfMap.create({ type: "hash", name: "inner", keySize: 4, valueSize: 8, maxEntries: 4 });
  update(outer.info, u32(2), ["id", String(inner.info.id)]);
  expect(outer.get(u32(2))).toEqual(u32(inner.info.id));
});

test("a map of another shape is refused by a map of maps", () => {
  using wrong = BpfMap.create({ type: "hash", keySize: 8, valueSize: 8, maxEntries: 4 });
  expect(failure(() => kinds().map("k_hash_maps").set(u32(1), u32(wrong.fd))).code).toBe("EINVAL");
});

test("a tail call lands in the program that we put into a program array", () => {
  const object = kinds();
  const progs = object.map("k_progs");
  progs.set(u32(2), u32(object.program("landed").fd));
  const retval = object.program("jump").testRun({ data: Buffer.alloc(64) }).retval;
  expect({ retval, read: progs.get(u32(2)) }).toEqual({ retval: 42, read: u32(object.program("landed").id) });
});

test("a tail call follows bpftool's change of a program array", () => {
  const object = kinds();
  update(object.map("k_progs").info, u32(2), ["id", String(object.program("landed").id)]);
  expect(object.program("jump").testRun({ data: Buffer.alloc(64) }).retval).toBe(42);
});

test.each(["k_devmap", "k_devmap_hash"])("%s: bpftool reads the interface that we set", (name) => {
  const ns = netNamespace();
  const map = ns.inside(() => kinds().map(name));
  ns.inside(() => map.set(u32(1), u32(ns.ifindex)));
  expect(dump(map.info).map(({ key, value }) => ({ key, value }))).toContainEqual({
    key: hex(u32(1)),
    value: hex(u32(ns.ifindex)),
  });
});

test.each(["k_devmap", "k_devmap_hash"])("%s: we read the interface that bpftool sets", (name) => {
  const ns = netNamespace();
  const map = ns.inside(() => kinds().map(name));
  bpftool(
    ["map", "update", "id", String(map.info.id), "key", ...words(u32(1)), "value", ...words(u32(ns.ifindex))],
    ns.name,
  );
  expect(map.get(u32(1))).toEqual(u32(ns.ifindex));
});

test("a ring buffer is the same size to bpftool as to us", () => {
  const map = kinds().map("k_ring");
  const shown = bpftool(["map", "show", "id", String(map.info.id)]) as { max_entries: number };
  expect(shown.max_entries).toBe(map.maxEntries);
});

test("a map pinned by bpftool opens by its path, and ours by bpftool", () => {
  const map = kinds().map("k_hash");
  const dir = pinDirectory();
  bpftool(["map", "pin", "id", String(map.info.id), `${dir}/theirs`]);
  map.pin(`${dir}/ours`);
  using theirs = BpfMap.openPinned(`${dir}/theirs`);
  const shown = bpftool(["map", "show", "pinned", `${dir}/ours`]) as { id: number };
  expect([theirs.info.id, shown.id]).toEqual([map.info.id, map.info.id]);
});

test("unpinning removes the pin and not the map", () => {
  const map = kinds().map("k_hash");
  const path = `${pinDirectory()}/once`;
  map.pin(path);
  expect(map.pinPath).toBe(path);
  map.unpin();
  expect([failure(() => BpfMap.openPinned(path)).code, map.info.name]).toEqual(["ENOENT", "k_hash"]);
});

test("a pin that is not there cannot be removed", () => {
  expect(failure(() => removePin("/sys/fs/bpf/nothing")).code).toBe("ENOENT");
});

test("a frozen map refuses us", () => {
  const map = kinds().map("k_hash");
  map.freeze();
  expect(failure(() => map.set(u32(1), u64(1))).message).toBe("set in map k_hash: Operation not permitted (EPERM)");
});
