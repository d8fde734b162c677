/** What all maps have in common: flags, iteration under change, batches, failures. */
import { BpfMap, BpfProgram, MapFlag, possibleCpus } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { failure, pinDirectory } from "./support/kernel.js";

type Shape = Partial<Parameters<typeof BpfMap.create>[0]>;

function make(shape: Shape = {}): BpfMap {
  const map = BpfMap.create({ type: "hash", name: "m", keySize: 4, valueSize: 4, maxEntries: 1000, ...shape });
  onTestFinished(() => map.close());
  return map;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Elements 0 … count-1, each its own value. */
function fill(map: BpfMap, count: number): void {
  const keys = Buffer.concat(Array.from({ length: count }, (_, i) => u32(i)));
  if (map.perCpu) {
    const value = Buffer.alloc(map.valueStride, 1);
    map.setBatch(keys, Buffer.concat(Array.from({ length: count }, () => value)));
  } else map.setBatch(keys, keys);
}

function numbers(keys: Iterable<Buffer>): number[] {
  return [...keys].map((key) => key.readUInt32LE()).sort((a, b) => a - b);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test("a key that is not there reads as undefined", () => {
  expect(make().get(u32(1))).toBeUndefined();
});

test("noexist refuses a key that is there, and leaves its value", () => {
  const map = make();
  map.set(u32(1), u32(10), { flag: "noexist" });
  expect([failure(() => map.set(u32(1), u32(20), { flag: "noexist" })).message, map.get(u32(1))]).toEqual([
    "set in map m: the key exists (EEXIST)",
    u32(10),
  ]);
});

test("exist refuses a key that is not there", () => {
  expect(failure(() => make().set(u32(1), u32(1), { flag: "exist" })).message).toBe(
    "set in map m: no such key (ENOENT)",
  );
});

test("take gives the value and deletes the key", () => {
  const map = make();
  map.set(u32(1), u32(10));
  expect([map.take(u32(1)), map.take(u32(1)), map.has(u32(1))]).toEqual([u32(10), undefined, false]);
});

test("take works on the CPUs' values too", () => {
  const map = make({ type: "percpu_hash" });
  const values = Array.from({ length: possibleCpus() }, (_, cpu) => u32(cpu));
  map.setPerCpu(u32(1), values);
  expect([map.takePerCpu(u32(1)), map.takePerCpu(u32(1))]).toEqual([values, undefined]);
});

test("a map that is full is E2BIG", () => {
  const map = make({ maxEntries: 2 });
  fill(map, 2);
  expect(failure(() => map.set(u32(9), u32(9))).code).toBe("E2BIG");
});

test("an array's index out of range is E2BIG to set and undefined to get", () => {
  const map = make({ type: "array", maxEntries: 2 });
  expect([failure(() => map.set(u32(2), u32(0))).code, map.get(u32(2))]).toEqual(["E2BIG", undefined]);
});

test("a key of the wrong size is refused before the kernel sees it", () => {
  expect(failure(() => make().get(Buffer.alloc(3))).message).toBe(
    "get from map m: expected a key of 4 bytes, got 3 (EINVAL)",
  );
});

test("a value of the wrong size is refused before the kernel sees it", () => {
  expect(failure(() => make().set(u32(1), Buffer.alloc(5))).message).toBe(
    "set in map m: expected a value of 4 bytes, got 5 (EINVAL)",
  );
});

test("too few CPUs' values are refused", () => {
  expect(failure(() => make({ type: "percpu_hash" }).setPerCpu(u32(1), [])).message).toContain(
    `expected ${possibleCpus()} values (one a possible CPU), got 0`,
  );
});

test("a map that cannot be is refused with what was asked for", () => {
  expect(failure(() => make({ keySize: 0, name: "void" })).message).toBe(
    "create hash map void: Invalid argument (EINVAL)",
  );
});

test("a closed map refuses use, and closes twice without complaint", () => {
  const map = make();
  map.close();
  map.close();
  expect([failure(() => map.get(u32(1))).code, failure(() => map.info).code, map.closed]).toEqual([
    "EBADF",
    "EBADF",
    true,
  ]);
});

test("a block with `using` closes the map", () => {
  let outer: BpfMap;
  {
    using map = make();
    outer = map;
  }
  expect(outer.closed).toBe(true);
});

test("a map opens by id and by name", () => {
  const name = `byname${process.pid}`;
  const map = make({ name });
  using byId = BpfMap.openById(map.info.id);
  using byName = BpfMap.openByName(name);
  expect([byId.info.id, byName.info.id]).toEqual([map.info.id, map.info.id]);
});

test("an id that is not there is ENOENT", () => {
  expect(failure(() => BpfMap.openById(0x7fffffff)).message).toBe(
    "open map by id 2147483647: No such file or directory (ENOENT)",
  );
});

test("a name that two maps have is refused", () => {
  const name = `twice${process.pid}`;
  make({ name });
  make({ name });
  expect(failure(() => BpfMap.openByName(name)).message).toContain("several have this name");
});

test("a missing pin is ENOENT with its path", () => {
  expect(failure(() => BpfMap.openPinned("/sys/fs/bpf/no/such")).message).toBe(
    "open pinned map /sys/fs/bpf/no/such: No such file or directory (ENOENT)",
  );
});

test("a pinned map is not taken for a program", () => {
  const path = `${pinDirectory()}/map`;
  make().pin(path);
  expect(failure(() => BpfProgram.openPinned(path)).message).toBe(
    `open pinned program ${path}: the pin is not a program (EINVAL)`,
  );
});

test("a pin is refused outside of a bpffs and where something is", () => {
  const map = make();
  const path = `${pinDirectory()}/map`;
  map.pin(path);
  expect([failure(() => map.pin("/tmp/xmap")).code, failure(() => map.pin(path)).code]).toEqual(["EPERM", "EEXIST"]);
});

test.each(["hash", "lru_hash", "percpu_hash", "lru_percpu_hash"] as const)("a %s map iterates whole", (type) => {
  const map = make({ type, maxEntries: 4000 });
  fill(map, 1000);
  expect(numbers(map.keys())).toEqual(upTo(1000));
});

test.each(["array", "percpu_array"] as const)("an %s iterates whole", (type) => {
  expect(numbers(make({ type, maxEntries: 100 }).keys())).toEqual(upTo(100));
});

test("an LPM trie iterates whole", () => {
  const map = make({ type: "lpm_trie", keySize: 8, flags: 1, maxEntries: 500 });
  for (let i = 0; i < 500; i++) map.set(Buffer.concat([u32(32), u32(i)]), u32(i));
  expect(numbers([...map.entries()].map(([, value]) => value))).toEqual(upTo(500));
});

test("an iteration ends, repeats nothing and misses nothing that stays, while keys come and go", () => {
  const map = make({ maxEntries: 20_000 });
  fill(map, 5000);
  const seen: number[] = [];
  let other = 5000;
  for (const key of map.keys()) {
    const number = key.readUInt32LE();
    seen.push(number);
    // Odd keys vanish as they are seen, and new ones appear.
    if (number % 2 === 1) map.delete(key);
    if (other < 15_000) map.set(u32(other), u32(other++));
  }
  const stayed = upTo(5000).filter((n) => n % 2 === 0);
  expect({
    repeated: seen.length - new Set(seen).size,
    missed: stayed.filter((n) => !seen.includes(n)).length,
  }).toEqual({
    repeated: 0,
    missed: 0,
  });
});

test("an LPM trie's iteration repeats nothing and misses nothing that stays, while prefixes vanish", () => {
  const map = make({ type: "lpm_trie", keySize: 8, flags: 1, maxEntries: 10_000 });
  const key = (i: number) => Buffer.concat([u32(32), u32(i)]);
  map.setBatch(upTo(9000).map(key), upTo(9000).map(u32));
  const seen: number[] = [];
  for (const [, value] of map) {
    const number = value.readUInt32LE();
    seen.push(number);
    if (number % 2 === 1) map.delete(key(number));
    if (seen.length % 1000 === 0) map.delete(key((seen.length / 1000) * 2 - 1));
  }
  const stayed = upTo(9000).filter((n) => n % 2 === 0);
  const found = new Set(seen);
  expect({ repeated: seen.length - found.size, missed: stayed.filter((n) => !found.has(n)).length }).toEqual({
    repeated: 0,
    missed: 0,
  });
});

test("a map of a kind without batch lookups iterates by key, under deletion too", () => {
  const inner = make();
  const map = make({ type: "devmap_hash", maxEntries: 64 });
  const outer = make({ type: "hash_of_maps", innerMap: inner, maxEntries: 64 });
  for (let i = 0; i < 64; i++) outer.set(u32(i), u32(inner.fd));
  expect(map.getBatch().count).toBe(0);
  const seen: number[] = [];
  for (const key of outer.keys()) {
    seen.push(key.readUInt32LE());
    outer.delete(key);
  }
  expect(seen.sort((a, b) => a - b)).toEqual(upTo(64));
});

test("small pieces read the same as one large piece", () => {
  const map = make();
  fill(map, 1000);
  const pieces: number[] = [];
  for (const batch of map.batches({ size: 7 })) {
    for (let i = 0; i < batch.count; i++) pieces.push(batch.keys.readUInt32LE(i * 4));
  }
  expect(pieces.sort((a, b) => a - b)).toEqual(upTo(1000));
});

test("takeBatch empties the map", () => {
  const map = make();
  fill(map, 1000);
  expect([map.takeBatch().count, map.getBatch().count]).toEqual([1000, 0]);
});

test("deleteBatch skips keys that are not there and counts the others", () => {
  const map = make();
  fill(map, 10);
  const deleted = map.deleteBatch([u32(1), u32(99), u32(2), u32(98), u32(97), u32(3)]);
  expect([deleted, numbers(map.keys())]).toEqual([3, [0, 4, 5, 6, 7, 8, 9]]);
});

test("setBatch with noexist refuses a key that is there, and the ones before it are set", () => {
  const map = make();
  map.set(u32(2), u32(0));
  const code = failure(() =>
    map.setBatch([u32(1), u32(2), u32(3)], [u32(1), u32(2), u32(3)], { flag: "noexist" }),
  ).code;
  expect([code, numbers(map.keys())]).toEqual(["EEXIST", [1, 2]]);
});

test("setBatch refuses keys and values that do not match", () => {
  expect(failure(() => make().setBatch(Buffer.alloc(8), Buffer.alloc(4))).message).toBe(
    "set batch in map m: expected 2 values of 4 bytes, got 4 bytes (EINVAL)",
  );
});

test("setBatch falls back to single calls where the kernel has no batch update", () => {
  const map = make({ type: "lpm_trie", keySize: 8, flags: 1 });
  const keys = upTo(10).map((i) => Buffer.concat([u32(32), u32(i)]));
  const devices = make({ type: "devmap_hash", maxEntries: 4 });
  expect([map.setBatch(keys, upTo(10).map(u32)), map.deleteBatch(keys)]).toEqual([10, 10]);
  expect([devices.setBatch(u32(3), u32(1)), devices.getBatch().count, devices.deleteBatch(u32(3))]).toEqual([1, 1, 1]);
});

test("per-CPU values go through a batch one behind the other", () => {
  const map = make({ type: "percpu_hash" });
  fill(map, 5);
  const batch = map.getBatch();
  const first = map.unpackPerCpu(batch.values.subarray(0, map.valueStride));
  expect([batch.count, first]).toEqual([5, Array.from({ length: possibleCpus() }, () => Buffer.alloc(4, 1))]);
});

test("a bloom filter knows what was pushed", () => {
  const map = make({ type: "bloom_filter", keySize: 0 });
  map.push(u32(1));
  expect([map.contains(u32(1)), map.contains(u32(2))]).toEqual([true, false]);
});

test("an array's memory shows what is set, without a call", () => {
  const map = make({ type: "array", flags: MapFlag.mmapable, maxEntries: 3 });
  const words = new Uint32Array(map.memory());
  map.set(u32(2), u32(7));
  expect([words.length, words[4]]).toEqual([6, 7]);
});

test("an array's memory outlives the map's handle", () => {
  const map = make({ type: "array", flags: MapFlag.mmapable, maxEntries: 1 });
  map.set(u32(0), u32(7));
  const words = new Uint32Array(map.memory());
  map.close();
  expect(words[0]).toBe(7);
});

test("a map that cannot be mapped says so", () => {
  expect(failure(() => make().memory()).message).toBe("map memory of map m: Operation is not supported (ENOTSUPP)");
});
