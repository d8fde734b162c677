/** BTF: the kernel's, an object's, of the other byte order, broken; found, sized, printed as C. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { BpfObject, Btf, btfById, codecOf, layoutOf, listBtf } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { failure } from "./support/kernel.js";

function objectBtf(name: string): Btf {
  using object = BpfObject.open(objectFile(name));
  if (object.btf === undefined) throw new Error(`${name} has no BTF`);
  return object.btf;
}

test("the kernel's struct sizes are those that bpftool prints", () => {
  const btf = Btf.vmlinux();
  const raw = execFileSync("bpftool", ["btf", "dump", "file", "/sys/kernel/btf/vmlinux"], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const theirs = Object.fromEntries(
    [...raw.matchAll(/^\[(\d+)\] STRUCT '(net_device|sk_buff|xdp_buff|nf_conn)' size=(\d+)/gm)].map(
      ([, , name, size]) => [name, Number(size)],
    ),
  );
  const ours = Object.fromEntries(Object.keys(theirs).map((name) => [name, btf.get(name, "struct").size]));
  expect(Object.keys(theirs).length, "structs found in bpftool's text").toBeGreaterThan(2);
  expect(ours).toEqual(theirs);
});

test("every type of the kernel decodes", () => {
  const btf = Btf.vmlinux();
  let count = 0;
  for (const type of btf.types()) if (type.id > 0) count++;
  expect(count).toBe(btf.typeCount - 1);
});

test("a type that the kernel does not have is ENOENT", () => {
  expect(failure(() => Btf.vmlinux().get("no_such_struct", "struct")).message).toBe(
    "find BTF type struct no_such_struct: unknown (ENOENT)",
  );
});

test("a module that is not loaded is ENOENT", () => {
  expect(failure(() => Btf.module("no_such_module")).code).toBe("ENOENT");
});

test("an object's type prints as the C that it was", () => {
  const btf = objectBtf("types");
  expect(btf.toC([btf.get("inner", "struct").id])).toContain("struct inner {\n\t__u16 a;\n\t__u8 b[3];\n};");
});

test("the C of a whole object compiles to the same sizes", () => {
  const btf = objectBtf("types");
  const size = btf.get("everything", "struct").size;
  const check = `${btf.toC()}\n_Static_assert(sizeof(struct everything) == ${size}, "size");\n`;
  const compile = () => execFileSync("clang-19", ["-target", "bpf", "-x", "c", "-fsyntax-only", "-"], { input: check });
  expect(failure(compile).message).toMatch(/^did not throw/);
});

test("BTF that the kernel holds reads back by id as it was loaded", () => {
  using object = BpfObject.open(objectFile("types")).load();
  const { btfId } = object.map("types").info;
  expect(btfById(btfId).get("everything", "struct").size).toBe(object.btf?.get("everything", "struct").size);
});

test("the list of loaded BTF has the kernel's", () => {
  expect([...listBtf()]).toContainEqual(expect.objectContaining({ name: "vmlinux", kernel: true }));
});

test("an id without BTF is ENOENT", () => {
  expect(failure(() => btfById(0x7ffffff0)).code).toBe("ENOENT");
});

test.each([
  ["nothing", Buffer.alloc(0), "shorter than its header"],
  ["no BTF", Buffer.alloc(64, 1), "no BTF magic"],
  ["half of it", objectBtf("types").raw.subarray(0, 300), "cut short"],
])("%s is refused", (_what, bytes, reason) => {
  expect(failure(() => Btf.parse(bytes)).message).toBe(`parse BTF: ${reason} (EINVAL)`);
});

test("big-endian BTF reads the same types, with values of the other order", () => {
  const dir = mkdtempSync(`${tmpdir()}/libbpf-ts-`);
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const source = objectFile("types").replace("build/types.bpf.o", "bpf/types.bpf.c");
  const triplet = execFileSync("gcc", ["-print-multiarch"], { encoding: "utf8" }).trim();
  const flags = ["-g", "-O2", "-target", "bpfeb", `-I/usr/include/${triplet}`];
  execFileSync("clang-19", [...flags, "-c", source, "-o", `${dir}/big.o`]);
  execFileSync("llvm-objcopy-19", ["--dump-section", `.BTF=${dir}/btf`, `${dir}/big.o`, `${dir}/copy.o`]);
  const btf = Btf.parse(readFileSync(`${dir}/btf`));
  const inner = codecOf(layoutOf(btf, btf.get("inner", "struct").id));
  const everything = codecOf(layoutOf(btf, btf.get("everything", "struct").id));
  const bits = everything.decode(everything.encode({ bit1: 1, bits7: 99, signed5: -3, wide20: -1000n })) as object;
  expect([btf.endianness, inner.encode({ a: 0x1234 }).toString("hex"), bits]).toEqual([
    "BE",
    "123400000000",
    expect.objectContaining({ bit1: 1, bits7: 99, signed5: -3, wide20: -1000n, wide40: 0n }),
  ]);
});

/** Split BTF as a module has it: one struct of a type of the base. */
function splitUpon(base: Btf): Buffer {
  const stringsOfBase = base.raw.readUInt32LE(20);
  const strings = Buffer.from("addon\0first\0");
  const types = Buffer.alloc(24);
  const u32 = base.get("__u32", "typedef").id;
  [stringsOfBase, (4 << 24) | 1, 4, stringsOfBase + 6, u32, 0].forEach((word, i) => {
    types.writeUInt32LE(word, i * 4);
  });
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  [24, 0, types.length, types.length, strings.length].forEach((word, i) => {
    header.writeUInt32LE(word, 4 + i * 4);
  });
  return Buffer.concat([header, types, strings]);
}

test("split BTF, as of a module, knows the types of its base and its own, and prints both", () => {
  const base = objectBtf("types");
  const split = Btf.parse(splitUpon(base), base);
  const own = split.get("addon", "struct");
  expect([own.id, split.sizeOf(own.id), split.find("inner", "struct")?.kind, split.toC([own.id])]).toEqual([
    base.typeCount,
    4,
    "struct",
    expect.stringContaining("struct addon {\n\t__u32 first;\n};"),
  ]);
});
