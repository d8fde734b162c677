/** An object file from open to close, and what it refuses. */
import { readFileSync } from "node:fs";
import { BpfMap, BpfObject, MapFlag, setLogHandler } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { failure, pinDirectory } from "./support/kernel.js";

function open(name = "basic"): BpfObject {
  const object = BpfObject.open(objectFile(name));
  onTestFinished(() => object.close());
  return object;
}

test("the specification lists maps, programs and variables before anything is loaded", () => {
  const object = open();
  expect(object.maps.map(({ name, type, maxEntries }) => `${name} ${type} ${maxEntries}`)).toEqual([
    "counters percpu_array 4",
    "events ringbuf 4096",
    "flows hash 128",
    "basic.rodata array 1",
    "basic.bss array 1",
  ]);
  expect(object.programs.map(({ name, section, type }) => `${section} ${name} ${type}`)).toEqual([
    "xdp count xdp",
    "xdp drop_all xdp",
    "tc pass sched_cls",
    "tc pass_too sched_cls",
  ]);
  expect(object.variables.map(({ name, section, size }) => `${section} ${name} ${size}`)).toEqual([
    ".bss seen 8",
    ".rodata verdict 4",
    ".rodata small 1",
    ".rodata wide 8",
    ".rodata mac 6",
  ]);
});

test("an object opens from bytes under a name of the caller's", () => {
  using object = BpfObject.open(readFileSync(objectFile("basic")), { name: "bytes" });
  expect(object.maps.map((map) => map.name)).toContain("bytes.rodata");
});

test("a constant that was set before the load is what the program sees", () => {
  const object = open().setVariable("verdict", 1).load();
  expect(object.program("count").testRun({ data: Buffer.alloc(64) }).retval).toBe(1);
});

test("a constant takes signed, wide and byte values, and reads back", () => {
  const object = open();
  object
    .setVariable("small", -5)
    .setVariable("wide", 2n ** 63n)
    .setVariable("mac", Buffer.from("020000000001", "hex"));
  expect([
    object.readVariable("small"),
    object.readVariable("wide"),
    object.getVariable("mac").toString("hex"),
  ]).toEqual([-5, 2n ** 63n, "020000000001"]);
});

test("a variable of .bss reads back live", () => {
  const object = open().load();
  for (let run = 0; run < 3; run++) object.program("count").testRun({ data: Buffer.alloc(64) });
  expect(object.readVariable("seen")).toBe(3n);
});

test("a constant refuses a number that does not fit its type", () => {
  const object = open();
  expect(failure(() => object.setVariable("small", 200)).message).toBe(
    "set variable small: 200 is no signed 8-bit integer (EINVAL)",
  );
});

test("a constant refuses bytes of the wrong length", () => {
  expect(failure(() => open().setVariable("mac", Buffer.alloc(5))).message).toBe(
    "set variable mac: expected 6 bytes, got 5 (EINVAL)",
  );
});

test("a variable that the object does not have is ENOENT", () => {
  expect(failure(() => open().setVariable("nothing", 1)).message).toBe(
    "find variable nothing: object basic has none of that name (ENOENT)",
  );
});

test("a resized map has the new size", () => {
  const object = open().resizeMap("flows", 1000).load();
  expect(object.map("flows").info.maxEntries).toBe(1000);
});

test("a map that was put in the place of the object's own serves the program", () => {
  using mine = BpfMap.create({ type: "percpu_array", name: "mine", keySize: 4, valueSize: 8, maxEntries: 9 });
  const object = open().reuseMap("counters", mine).load();
  for (let run = 0; run < 7; run++) object.program("count").testRun({ data: Buffer.alloc(64) });
  const counted = mine.getPerCpu(Buffer.alloc(4))?.reduce((sum, value) => sum + value.readBigUInt64LE(), 0n);
  expect(counted).toBe(7n);
});

test.each([
  ["type", { type: "lru_hash", keySize: 8, valueSize: 16 }, "type is lru_hash, the object wants hash"],
  ["key size", { type: "hash", keySize: 4, valueSize: 16 }, "key size is 4, the object wants 8"],
  ["value size", { type: "hash", keySize: 8, valueSize: 8 }, "value size is 8, the object wants 16"],
  ["flags", { type: "hash", keySize: 8, valueSize: 16, flags: 1 }, "flags is 1, the object wants 0"],
] as const)("a map whose %s differs is refused for reuse", (_what, shape, complaint) => {
  using other = BpfMap.create({ ...shape, maxEntries: 16 });
  expect(failure(() => open().reuseMap("flows", other)).message).toBe(`reuse map flows: ${complaint} (EINVAL)`);
});

test("a program whose autoload is off is not loaded", () => {
  const object = open().setAutoload("drop_all", false).load();
  expect(failure(() => object.program("drop_all")).message).toBe("get program drop_all: its autoload is off (EINVAL)");
});

test("a program that the object does not have is ENOENT", () => {
  expect(failure(() => open().load().program("nothing")).code).toBe("ENOENT");
});

test("a map cannot be had before the load", () => {
  expect(failure(() => open().map("flows")).message).toBe("get map flows: object basic is not loaded yet (EINVAL)");
});

test("a loaded object refuses changes", () => {
  const object = open().load();
  expect(failure(() => object.resizeMap("flows", 5)).message).toBe(
    "resize map flows: object basic is loaded already (EINVAL)",
  );
});

test("a file that is not there is ENOENT", () => {
  expect(failure(() => BpfObject.open("/nowhere/x.o")).message).toBe(
    "open object /nowhere/x.o: No such file or directory (ENOENT)",
  );
});

test("a file that is no ELF object is refused with a code of libbpf's", () => {
  expect(failure(() => BpfObject.open(Buffer.from("not an object"), { name: "text" })).code).toBe("LIBBPF_FORMAT");
});

test("a rejected program's error begins with the failing source line and keeps the whole log", () => {
  const error = failure(() => open("rejected").load()) as { message: string; verifierLog?: string };
  expect(error.message).toMatch(/^return packet\[100\];.*invalid access to packet.*program out_of_bounds rejected/s);
  expect(error.message.split("\n")).toHaveLength(1);
  expect(error.verifierLog).toContain("processed");
});

test("a closed object refuses use, and closes twice without complaint", () => {
  const object = open();
  object.close();
  object.close();
  expect(failure(() => object.load()).code).toBe("EBADF");
});

test("maps and programs taken from an object close with it, clones do not", () => {
  const object = open().load();
  const map = object.map("flows");
  using clone = map.clone();
  object.close();
  expect(failure(() => map.get(Buffer.alloc(8))).message).toBe("use map flows: used after close() (EBADF)");
  expect(clone.get(Buffer.alloc(8))).toBeUndefined();
});

test("a map takes the pin that is there, and makes it when it is not", () => {
  const path = `${pinDirectory()}/flows`;
  const first = open().setPinPath("flows", path).load();
  first.map("flows").set(Buffer.alloc(8), Buffer.alloc(16, 9));
  const second = open().setPinPath("flows", path).load();
  expect(second.map("flows").get(Buffer.alloc(8))).toEqual(Buffer.alloc(16, 9));
});

test("a pin of another shape is refused at load, by name", () => {
  const path = `${pinDirectory()}/flows`;
  using other = BpfMap.create({ type: "hash", keySize: 4, valueSize: 4, maxEntries: 1 });
  other.pin(path);
  expect(failure(() => open().setPinPath("flows", path).load()).message).toMatch(
    /^load object basic: .*flows.*mismatch/,
  );
});

test("flags that were set are the kernel's", () => {
  const object = open().setMapFlags("flows", MapFlag.noPrealloc).load();
  expect(object.map("flows").info.flags).toBe(MapFlag.noPrealloc);
});

test("a map can be made as one of another type", () => {
  const object = open().setMapType("flows", "lru_hash").load();
  expect(object.map("flows").type).toBe("lru_hash");
});

test("a map that is not to be made is not there", () => {
  const object = open().setAutocreate("flows", false).setAutoload("drop_all", false).load();
  expect(failure(() => object.map("flows")).code).toBe("EINVAL");
});

test("a map of maps holds maps like the one that it was given", () => {
  using like = BpfMap.create({ type: "hash", keySize: 4, valueSize: 8, maxEntries: 4 });
  const object = open("kinds").setInnerMap("k_array_maps", like).load();
  object.map("k_array_maps").set(Buffer.alloc(4), Buffer.from(Uint32Array.of(like.fd).buffer));
  expect(object.map("k_array_maps").get(Buffer.alloc(4))?.readUInt32LE()).toBe(like.info.id);
});

test("a program of another type is loaded as that", () => {
  const object = open("names").setProgramType("a_program_with_quite_a_long_name", "sched_cls").load();
  expect(object.program("a_program_with_quite_a_long_name").type).toBe("sched_cls");
});

test("a program that replaces another's function needs to know which", () => {
  const load = () => open("names").setProgramType("a_program_with_quite_a_long_name", "ext").load();
  expect(failure(load).message).toMatch(/^load object names: /);
});

test("fragments of packets are a program flag", () => {
  const object = open("names")
    .setProgramFlags("a_program_with_quite_a_long_name", 1 << 5)
    .load();
  expect(object.programs[0]?.flags).toBe(1 << 5);
});

test("an object bound to a device that cannot offload is refused", () => {
  const object = open("names").setOffload(1);
  expect(failure(() => object.load()).message).toMatch(/^load object names: /);
});

test("libbpf's own lines go to the handler, and nowhere else", () => {
  const lines: string[] = [];
  setLogHandler((level, text) => lines.push(`${level}: ${text}`), { debug: true });
  onTestFinished(() => setLogHandler(undefined));
  open("basic").load();
  expect(
    lines.some((line) => line.startsWith("debug: libbpf: ")),
    `among ${lines.length} lines`,
  ).toBe(true);
  expect(lines.every((line) => !line.endsWith("\n"))).toBe(true);
});

test("a verifier's log level is kept on success", () => {
  const lines: string[] = [];
  setLogHandler((_level, text) => lines.push(text), { debug: true });
  onTestFinished(() => setLogHandler(undefined));
  open("names").setLogLevel("a_program_with_quite_a_long_name", 2).load();
  expect(lines.join("\n")).toContain("processed");
});
