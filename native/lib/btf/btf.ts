/**
 * Parses BTF, the BPF type format, of either byte order. Types are indexed at once and decoded when they are asked for, so
 * that a kernel's hundred thousand types cost milliseconds.
 */
import { readFileSync } from "node:fs";
import { addon } from "../addon.js";
import { EINVAL, ENOENT } from "../errno.js";
import { BpfError, invalid } from "../error.js";
import { drainLog } from "../log.js";
import { BTF_KINDS, type BtfKind, type BtfMember, type BtfType, type BtfTypeOf } from "./types.js";

const MAGIC = 0xeb9f;
const LINKAGE = ["static", "global", "extern"] as const;

const KIND = Object.fromEntries(BTF_KINDS.map((kind, number) => [kind, number])) as Record<BtfKind, number>;

/** Bytes that follow a type's 12-byte header. */
function tailSize(kind: number, count: number): number {
  switch (kind) {
    case KIND.int:
    case KIND.var:
    case KIND.decl_tag:
      return 4;
    case KIND.array:
      return 12;
    case KIND.struct:
    case KIND.union:
    case KIND.datasec:
    case KIND.enum64:
      return count * 12;
    case KIND.enum:
    case KIND.func_proto:
      return count * 8;
    default:
      return 0;
  }
}

/** The types of a kernel, a module or an object: to find, to measure, to print as C. */
export class Btf {
  /** The bytes it was parsed from. */
  readonly raw: Buffer;
  /** What a split BTF (of a kernel module) builds upon. */
  readonly base: Btf | undefined;
  /** "LE" or "BE": the byte order of the BTF, and of the machine that its types describe. */
  readonly endianness: "LE" | "BE";
  readonly #view: DataView;
  readonly #le: boolean;
  readonly #offsets: Uint32Array;
  readonly #strings: number;
  readonly #stringsLength: number;
  readonly #baseStrings: number;
  readonly #firstId: number;
  readonly #cache = new Map<number, BtfType>();
  #names: Map<string, number[]> | undefined;

  private constructor(raw: Buffer, base: Btf | undefined) {
    this.raw = raw;
    this.base = base;
    this.#view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    if (raw.length < 24) throw bad("shorter than its header");
    const magic = this.#view.getUint16(0, true);
    if (magic !== MAGIC && magic !== 0x9feb) throw bad("no BTF magic");
    this.#le = magic === MAGIC;
    this.endianness = this.#le ? "LE" : "BE";
    const headerLength = this.#u32(4);
    const types = headerLength + this.#u32(8);
    const typesEnd = types + this.#u32(12);
    this.#strings = headerLength + this.#u32(16);
    this.#stringsLength = this.#u32(20);
    if (typesEnd > raw.length || this.#strings + this.#stringsLength > raw.length) throw bad("cut short");
    this.#firstId = base === undefined ? 1 : base.typeCount;
    this.#baseStrings = base === undefined ? 0 : base.stringsEnd;
    const offsets: number[] = [];
    let at = types;
    while (at < typesEnd) {
      offsets.push(at);
      const info = this.#u32(at + 4);
      const kind = (info >>> 24) & 0x1f;
      if (kind >= BTF_KINDS.length || kind === 0) throw bad(`unknown kind ${kind}`);
      at += 12 + tailSize(kind, info & 0xffff);
    }
    if (at !== typesEnd) throw bad("cut short");
    this.#offsets = Uint32Array.from(offsets);
  }

  /** @throws BpfError EINVAL when the bytes are no BTF. */
  static parse(raw: Uint8Array, base?: Btf): Btf {
    return new Btf(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength), base);
  }

  /** The running kernel's. Parsed once a thread; needs no privilege. */
  static vmlinux(): Btf {
    kernelBtf ??= Btf.parse(readBtfFile("/sys/kernel/btf/vmlinux"));
    return kernelBtf;
  }

  /** A loaded module's, upon the kernel's. @throws BpfError ENOENT when it is not loaded or has no BTF. */
  static module(name: string): Btf {
    return Btf.parse(readBtfFile(`/sys/kernel/btf/${name}`), Btf.vmlinux());
  }

  /** One more than the highest type id, those of the base included. */
  get typeCount(): number {
    return this.#firstId + this.#offsets.length;
  }

  /** The first id that is not the base's. */
  get firstId(): number {
    return this.#firstId;
  }

  /** @internal Where a split BTF's string offsets begin. */
  get stringsEnd(): number {
    return this.#baseStrings + this.#stringsLength;
  }

  /** @throws BpfError EINVAL when there is no such id. */
  type(id: number): BtfType {
    if (id === 0) return { id: 0, name: "", kind: "void" };
    if (id < this.#firstId && this.base !== undefined) return this.base.type(id);
    let type = this.#cache.get(id);
    if (type === undefined) {
      type = this.#decode(id);
      this.#cache.set(id, type);
    }
    return type;
  }

  /** All types, those of the base not included. */
  *types(): Generator<BtfType> {
    for (let id = this.#firstId; id < this.typeCount; id++) yield this.type(id);
  }

  /** The first type of that name (and kind), or undefined. */
  find(name: string): BtfType | undefined;
  find<K extends BtfKind>(name: string, kind: K): BtfTypeOf<K> | undefined;
  find(name: string, kind?: BtfKind): BtfType | undefined {
    return this.findAll(name).find((type) => kind === undefined || type.kind === kind);
  }

  /** All types of that name, those of the base first. */
  findAll(name: string): BtfType[] {
    this.#names ??= this.#indexNames();
    const own = (this.#names.get(name) ?? []).map((id) => this.type(id));
    return this.base === undefined ? own : [...this.base.findAll(name), ...own];
  }

  /** As find(), but a type that is not there is an error: ENOENT. */
  get<K extends BtfKind>(name: string, kind: K): BtfTypeOf<K> {
    const type = this.find(name, kind);
    if (type === undefined) {
      throw new BpfError({
        operation: "find BTF type",
        objectName: `${kind} ${name}`,
        errno: ENOENT,
        reason: "unknown",
      });
    }
    return type;
  }

  /** What a type is under its typedefs, const, volatile, restrict and tags. */
  resolve(id: number): BtfType {
    let type = this.type(id);
    for (let depth = 0; ; depth++) {
      switch (type.kind) {
        case "typedef":
        case "volatile":
        case "const":
        case "restrict":
        case "type_tag":
          if (depth > 64) throw bad(`type ${id} refers to itself`);
          type = this.type(type.type);
          break;
        default:
          return type;
      }
    }
  }

  /** Bytes that a value of the type takes. */
  sizeOf(id: number): number {
    const type = this.resolve(id);
    switch (type.kind) {
      case "int":
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "float":
      case "datasec":
        return type.size;
      case "ptr":
        return 8;
      case "array":
        return type.count * this.sizeOf(type.element);
      case "var":
        return this.sizeOf(type.type);
      default:
        return 0;
    }
  }

  /** The types as C source: all of them, or those named by id with all that they need. */
  toC(ids?: number[]): string {
    const text = addon.btfDump(this.raw, this.base?.raw, ids);
    const log = drainLog();
    if (typeof text === "number") throw new BpfError({ operation: "print BTF as C", errno: text, log });
    return text;
  }

  /** The string at an offset of the string section: names, and the texts that line information refers to. */
  text(offset: number): string {
    return this.#string(offset);
  }

  #indexNames(): Map<string, number[]> {
    const index = new Map<string, number[]>();
    this.#offsets.forEach((offset, i) => {
      const nameOffset = this.#u32(offset);
      if (nameOffset === 0) return;
      const name = this.#string(nameOffset);
      const list = index.get(name);
      if (list === undefined) index.set(name, [this.#firstId + i]);
      else list.push(this.#firstId + i);
    });
    return index;
  }

  #u32(offset: number): number {
    return this.#view.getUint32(offset, this.#le);
  }

  #string(offset: number): string {
    if (offset < this.#baseStrings && this.base !== undefined) return this.base.#string(offset);
    const start = this.#strings + offset - this.#baseStrings;
    const end = this.raw.indexOf(0, start);
    return this.raw.toString("utf8", start, end);
  }

  #decode(id: number): BtfType {
    const at = this.#offsets[id - this.#firstId];
    if (at === undefined) throw bad(`no type ${id}`);
    const info = this.#u32(at + 4);
    const kind = BTF_KINDS[(info >>> 24) & 0x1f] ?? "void";
    const count = info & 0xffff;
    const flag = info >>> 31 === 1;
    const third = this.#u32(at + 8);
    const tail = at + 12;
    const common = { id, name: this.#string(this.#u32(at)) };
    switch (kind) {
      case "void":
        return { ...common, kind };
      case "int": {
        const encoding = this.#u32(tail);
        return {
          ...common,
          kind,
          size: third,
          signed: (encoding & (1 << 24)) !== 0,
          char: (encoding & (1 << 25)) !== 0,
          bool: (encoding & (1 << 26)) !== 0,
          bitOffset: (encoding >>> 16) & 0xff,
          bits: encoding & 0xff,
        };
      }
      case "ptr":
      case "typedef":
      case "volatile":
      case "const":
      case "restrict":
      case "type_tag":
        return { ...common, kind, type: third };
      case "array":
        return {
          ...common,
          kind,
          element: this.#u32(tail),
          index: this.#u32(tail + 4),
          count: this.#u32(tail + 8),
        };
      case "struct":
      case "union":
        return { ...common, kind, size: third, members: this.#members(tail, count, flag) };
      case "enum":
        return {
          ...common,
          kind,
          size: third,
          signed: flag,
          values: this.#list(tail, count, 8, (o) => ({
            name: this.#string(this.#u32(o)),
            value: flag ? this.#view.getInt32(o + 4, this.#le) : this.#u32(o + 4),
          })),
        };
      case "enum64":
        return {
          ...common,
          kind,
          size: third,
          signed: flag,
          values: this.#list(tail, count, 12, (o) => {
            const bits = (BigInt(this.#u32(o + 8)) << 32n) | BigInt(this.#u32(o + 4));
            return { name: this.#string(this.#u32(o)), value: flag ? BigInt.asIntN(64, bits) : bits };
          }),
        };
      case "fwd":
        return { ...common, kind, union: flag };
      case "func":
        return { ...common, kind, type: third, linkage: LINKAGE[count] ?? "static" };
      case "func_proto":
        return {
          ...common,
          kind,
          type: third,
          parameters: this.#list(tail, count, 8, (o) => ({
            name: this.#string(this.#u32(o)),
            type: this.#u32(o + 4),
          })),
        };
      case "var":
        return { ...common, kind, type: third, linkage: LINKAGE[this.#u32(tail)] ?? "static" };
      case "datasec":
        return {
          ...common,
          kind,
          size: third,
          variables: this.#list(tail, count, 12, (o) => ({
            type: this.#u32(o),
            offset: this.#u32(o + 4),
            size: this.#u32(o + 8),
          })),
        };
      case "float":
        return { ...common, kind, size: third };
      case "decl_tag":
        return { ...common, kind, type: third, component: this.#view.getInt32(tail, this.#le) };
    }
  }

  #members(tail: number, count: number, bitFields: boolean): BtfMember[] {
    return this.#list(tail, count, 12, (o) => {
      const where = this.#u32(o + 8);
      return {
        name: this.#string(this.#u32(o)),
        type: this.#u32(o + 4),
        bitOffset: bitFields ? where & 0xffffff : where,
        bitSize: bitFields ? where >>> 24 : 0,
      };
    });
  }

  #list<T>(start: number, count: number, stride: number, decode: (offset: number) => T): T[] {
    return Array.from({ length: count }, (_, i) => decode(start + i * stride));
  }
}

let kernelBtf: Btf | undefined;

function readBtfFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).errno ?? EINVAL;
    throw new BpfError({ operation: "read BTF", objectName: path, errno });
  }
}

function bad(reason: string): BpfError {
  return invalid("parse BTF", undefined, reason);
}
