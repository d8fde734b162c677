/** Typed objects from BTF, checked against the compiler's own layout: C writes, we read; we write, C compares. */
import { BpfMap, BpfObject, type Btf, codec, codecOf, layoutOf, possibleCpus, TypedMap } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { failure, pinDirectory } from "./support/kernel.js";

const KEY = { address: 0x0a000001, port: 80, protocol: 6, pad: 0 };

/** What types.bpf.c fills in. */
const EVERYTHING = {
  u8: 200,
  s8: -100,
  u16: 60000,
  s16: -30000,
  u32: 4000000000,
  s32: -2000000000,
  u64: 0xfedcba9876543210n,
  s64: -5000000000n,
  be16: 0x1234,
  be32: 0x12345678,
  be64: 0x123456789abcdef0n,
  tagged: 0xa0b0c0d0,
  yes: true,
  color: "BLUE",
  huge: "LARGEST",
  text: Buffer.from("eightby\0"),
  numbers: [1, 2, 3],
  nested: { a: 7, b: Buffer.from([0, 0, 9]) },
  list: [
    { a: 0, b: Buffer.alloc(3) },
    { a: 11, b: Buffer.alloc(3) },
  ],
  word: { whole: 0x04030201, bytes: Buffer.from([1, 2, 3, 4]) },
  left: 77 << 16,
  right: [0, 77],
  deep: 42,
  bit1: 1,
  bits7: 99,
  signed5: -3,
  bits16: 54321,
  wide40: 0xabcdef0123n,
  wide20: -1000n,
  twins: [
    [0, 0],
    [5, 0],
  ],
  pointer: 0xffff800012345678n,
  u128: (1n << 100n) + 1n,
};

function loaded(): BpfObject {
  const object = BpfObject.open(objectFile("types")).load();
  onTestFinished(() => object.close());
  return object;
}

const packet = { data: Buffer.alloc(64) };

test("a pin alone gives the objects that a BPF program wrote", () => {
  const object = loaded();
  const path = `${pinDirectory()}/types`;
  object.map("types").pin(path);
  expect(object.program("write").testRun(packet).retval).toBe(0);
  using types = TypedMap.openPinned(path);
  expect([...types]).toEqual([[KEY, EVERYTHING]]);
});

test("what is encoded is byte for byte what the compiler makes of it", () => {
  const object = loaded();
  object.typedMap("types").set(KEY, EVERYTHING);
  const firstDifference = object.program("compare").testRun(packet).retval - 1;
  expect(firstDifference, "offset of the first byte that differs").toBe(-1);
});

test("one member of a union is enough to write it", () => {
  const types = loaded().typedMap<object, typeof EVERYTHING>("types");
  types.set(KEY, { word: { bytes: Buffer.from([1, 0, 0, 0]) }, right: [3, 0] } as unknown as typeof EVERYTHING);
  const read = types.get(KEY);
  expect([read?.word.whole, read?.left]).toEqual([1, 3]);
});

test("members of a union that disagree are refused", () => {
  const types = loaded().typedMap("types");
  expect(failure(() => types.set(KEY, { word: { whole: 1, bytes: Buffer.alloc(4) } })).message).toBe(
    "encode word.whole, bytes: the members of the union disagree: give one of them (EINVAL)",
  );
});

test("fields that are left out are zero", () => {
  const types = loaded().typedMap<object, typeof EVERYTHING>("types");
  types.set(KEY, { u32: 1 } as typeof EVERYTHING);
  expect(types.get(KEY)).toMatchObject({ u32: 1, u64: 0n, yes: false, color: "RED", numbers: [0, 0, 0] });
});

test.each([
  [{ u8: 256 }, "encode u8: 256 is no unsigned 8-bit integer (EINVAL)"],
  [{ u64: -1n }, "encode u64: -1 is no unsigned 64-bit integer (EINVAL)"],
  [{ nested: { a: 1.5 } }, "encode nested.a: 1.5 is no unsigned 16-bit integer (EINVAL)"],
  [{ signed5: 16 }, "encode signed5: 16 is no signed 5-bit integer (EINVAL)"],
  [{ color: "PINK" }, "encode color: PINK is no value of the enum (RED, GREEN, BLUE) (EINVAL)"],
  [{ text: Buffer.alloc(3) }, "encode text: expected a Buffer of 8 bytes, got 3 bytes (EINVAL)"],
  [{ numbers: [1] }, "encode numbers: expected an array of 3, got 1 (EINVAL)"],
  [{ yes: 1 }, "encode yes: 1 is no boolean (EINVAL)"],
])("%o is refused with the field's path", (value, message) => {
  const types = loaded().typedMap("types");
  expect(failure(() => types.set(KEY, value)).message).toBe(message);
});

test("a misspelt field is refused", () => {
  const types = loaded().typedMap("types");
  expect(failure(() => types.get({ adress: 1 })).message).toBe(
    "encode adress: no such field (there are address, port, protocol, pad) (EINVAL)",
  );
});

test("a per-CPU map has an array of objects, one a CPU", () => {
  const object = loaded();
  const percpu = object.typedMap<object, { a: number; b: Buffer }[]>("percpu");
  const values = Array.from({ length: possibleCpus() }, (_, cpu) => ({ a: cpu + 1, b: Buffer.from([cpu, 0, 0]) }));
  percpu.set(KEY, values);
  expect([...percpu]).toEqual([[KEY, values]]);
});

test("a queue is typed by its object, though the kernel keeps no BTF for queues", () => {
  const line = loaded().typedMap("line");
  line.push(KEY);
  expect([line.peek(), line.pop(), line.pop()]).toEqual([KEY, KEY, undefined]);
});

test("a struct constant takes an object", () => {
  using object = BpfObject.open(objectFile("types"));
  object.setVariable("chosen", { port: 4242 }).load();
  expect(object.program("port_of_chosen").testRun(packet).retval).toBe(4242);
});

test("a byte order by option wins over the type", () => {
  const btf = BpfObject.open(objectFile("types")).btf as Btf;
  const id = btf.get("key", "struct").id;
  const little = codecOf(layoutOf(btf, id, { byteOrder: { port: "le" } }));
  expect(little.encode({ port: 0x1234 }).toString("hex")).toBe("0000000034120000");
});

test("many objects go in and out by batch", () => {
  const percpu = loaded().typedMap("types");
  const entries = Array.from({ length: 8 }, (_, i) => [{ ...KEY, port: i }, EVERYTHING] as const);
  expect(percpu.setMany(entries)).toBe(8);
  expect(percpu.deleteMany(entries.map(([key]) => key))).toBe(8);
});

test("a map without BTF wants codecs, and works with them", () => {
  using map = BpfMap.create({ type: "hash", keySize: 4, valueSize: 8, maxEntries: 2 });
  expect(failure(() => new TypedMap(map)).message).toContain("the kernel has no BTF for its keys: give a codec");
  const typed = new TypedMap(map, { key: codec.int(4, false, "be"), value: codec.bytes(8) });
  typed.set(258, Buffer.alloc(8, 1));
  expect(map.get(Buffer.from([0, 0, 1, 2]))).toEqual(Buffer.alloc(8, 1));
});

test("a codec of the wrong size is refused", () => {
  using map = BpfMap.create({ type: "hash", name: "wrong", keySize: 4, valueSize: 8, maxEntries: 2 });
  const make = () => new TypedMap<number, Buffer>(map, { key: codec.int(2, false, "be"), value: codec.bytes(8) });
  expect(failure(make).message).toBe("type map map wrong: its keys have 4 bytes, the codec has 2 (EINVAL)");
});

test("a typed map has all that a map has", () => {
  const types = loaded().typedMap<typeof KEY, { u8: number }>("types");
  types.set(KEY, { u8: 1 } as { u8: number });
  const keys = [...types.keys()];
  const values = [...types.values()].map(({ u8 }) => u8);
  const twice = failure(() => types.set(KEY, { u8: 2 }, { flag: "noexist" })).code;
  expect([types.has(KEY), keys, values, twice, types.take(KEY)?.u8, types.has(KEY), types.delete(KEY)]).toEqual([
    true,
    [KEY],
    [1],
    "EEXIST",
    1,
    false,
    false,
  ]);
});
