/**
 * Codecs: bytes to values and back. Composed of the functions here, by hand, from a layout, or by generated source.
 *
 * Encoding: fields that are missing are zero; fields that the struct does not have are refused; numbers must fit. Of a union
 * one member is enough; if there are several they must agree (as they do in what was decoded).
 */
import { BpfError, invalid } from "../error.js";
import type { ByteOrder, Layout } from "./layout.js";

export interface Codec<T> {
  /** Bytes. */
  readonly size: number;
  /** Reads a value at an offset. Byte arrays in it are views of the Buffer. */
  decode(bytes: Buffer, offset?: number): T;
  /** Writes a value at an offset, all of its bytes (padding becomes zero). @throws BpfError EINVAL */
  encodeInto(value: T, bytes: Buffer, offset?: number): void;
  /** The value's bytes. */
  encode(value: T): Buffer;
}

/** The type that a codec is for. */
export type CodecValue<C> = C extends Codec<infer T> ? T : never;

type Decode<T> = (bytes: Buffer, offset: number) => T;
type Encode<T> = (value: T, bytes: Buffer, offset: number) => void;

function make<T>(size: number, decode: Decode<T>, encode: Encode<T>): Codec<T> {
  return {
    size,
    decode(bytes, offset = 0) {
      if (offset + size > bytes.length) {
        throw invalid("decode", undefined, `expected ${size} bytes, got ${Math.max(0, bytes.length - offset)}`);
      }
      return decode(bytes, offset);
    },
    encodeInto(value, bytes, offset = 0) {
      if (offset + size > bytes.length) {
        throw invalid("encode", undefined, `needs ${size} bytes, got room for ${Math.max(0, bytes.length - offset)}`);
      }
      encode(value, bytes, offset);
    },
    encode(value) {
      const bytes = Buffer.alloc(size);
      encode(value, bytes, 0);
      return bytes;
    },
  };
}

function outOfRange(value: unknown, what: string): Error {
  return invalid("encode", undefined, `${String(value)} is no ${what}`);
}

/** Integers of 1, 2 and 4 bytes are numbers; of 8 and more, bigints. */
export function int(size: 1 | 2 | 4, signed: boolean, order: ByteOrder): Codec<number>;
export function int(size: 8 | 16, signed: boolean, order: ByteOrder): Codec<bigint>;
export function int(size: number, signed: boolean, order: ByteOrder): Codec<number> | Codec<bigint>;
export function int(size: number, signed: boolean, order: ByteOrder): Codec<number> | Codec<bigint> {
  if (size > 4) return wideInt(size, signed, order);
  const low = signed ? -(2 ** (size * 8 - 1)) : 0;
  const high = signed ? 2 ** (size * 8 - 1) - 1 : 2 ** (size * 8) - 1;
  const what = `${signed ? "signed" : "unsigned"} ${size * 8}-bit integer`;
  const write = intWriter(size, signed, order);
  return make(size, intReader(size, signed, order), (value, bytes, offset) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (!Number.isInteger(number) || number < low || number > high) throw outOfRange(value, what);
    write(number, bytes, offset);
  });
}

function intReader(size: number, signed: boolean, order: ByteOrder): Decode<number> {
  if (size === 1) return signed ? (b, o) => b.readInt8(o) : (b, o) => b.readUInt8(o);
  if (order === "le") {
    if (size === 2) return signed ? (b, o) => b.readInt16LE(o) : (b, o) => b.readUInt16LE(o);
    return signed ? (b, o) => b.readInt32LE(o) : (b, o) => b.readUInt32LE(o);
  }
  if (size === 2) return signed ? (b, o) => b.readInt16BE(o) : (b, o) => b.readUInt16BE(o);
  return signed ? (b, o) => b.readInt32BE(o) : (b, o) => b.readUInt32BE(o);
}

function intWriter(size: number, signed: boolean, order: ByteOrder): Encode<number> {
  if (size === 1) return signed ? (v, b, o) => void b.writeInt8(v, o) : (v, b, o) => void b.writeUInt8(v, o);
  if (order === "le") {
    if (size === 2) return signed ? (v, b, o) => void b.writeInt16LE(v, o) : (v, b, o) => void b.writeUInt16LE(v, o);
    return signed ? (v, b, o) => void b.writeInt32LE(v, o) : (v, b, o) => void b.writeUInt32LE(v, o);
  }
  if (size === 2) return signed ? (v, b, o) => void b.writeInt16BE(v, o) : (v, b, o) => void b.writeUInt16BE(v, o);
  return signed ? (v, b, o) => void b.writeInt32BE(v, o) : (v, b, o) => void b.writeUInt32BE(v, o);
}

function wideInt(size: number, signed: boolean, order: ByteOrder): Codec<bigint> {
  const what = `${signed ? "signed" : "unsigned"} ${size * 8}-bit integer`;
  const decode: Decode<bigint> =
    size !== 8
      ? (bytes, offset) => {
          const raw = readBits(bytes, offset, size, order);
          return signed ? BigInt.asIntN(size * 8, raw) : raw;
        }
      : order === "le"
        ? signed
          ? (bytes, offset) => bytes.readBigInt64LE(offset)
          : (bytes, offset) => bytes.readBigUInt64LE(offset)
        : signed
          ? (bytes, offset) => bytes.readBigInt64BE(offset)
          : (bytes, offset) => bytes.readBigUInt64BE(offset);
  const low = signed ? -(1n << BigInt(size * 8 - 1)) : 0n;
  const high = (1n << BigInt(signed ? size * 8 - 1 : size * 8)) - 1n;
  const write = wideWriter(size, signed, order);
  return make(size, decode, (value, bytes, offset) => {
    const number = toBigInt(value, what);
    if (number < low || number > high) throw outOfRange(value, what);
    write(number, bytes, offset);
  });
}

function wideWriter(size: number, signed: boolean, order: ByteOrder): Encode<bigint> {
  if (size !== 8) return (v, b, o) => writeBits(BigInt.asUintN(size * 8, v), b, o, size, order);
  if (order === "le")
    return signed ? (v, b, o) => void b.writeBigInt64LE(v, o) : (v, b, o) => void b.writeBigUInt64LE(v, o);
  return signed ? (v, b, o) => void b.writeBigInt64BE(v, o) : (v, b, o) => void b.writeBigUInt64BE(v, o);
}

function toBigInt(value: unknown, what: string): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  throw outOfRange(value, what);
}

function readBits(bytes: Buffer, offset: number, size: number, order: ByteOrder): bigint {
  let value = 0n;
  for (let i = 0; i < size; i++) {
    value = (value << 8n) | BigInt(bytes.readUInt8(order === "be" ? offset + i : offset + size - 1 - i));
  }
  return value;
}

function writeBits(value: bigint, bytes: Buffer, offset: number, size: number, order: ByteOrder): void {
  let rest = value;
  for (let i = 0; i < size; i++) {
    bytes.writeUInt8(Number(rest & 0xffn), order === "be" ? offset + size - 1 - i : offset + i);
    rest >>= 8n;
  }
}

export function bool(size: number, order: ByteOrder): Codec<boolean> {
  return make(
    size,
    (bytes, offset) => readBits(bytes, offset, size, order) !== 0n,
    (value, bytes, offset) => {
      if (typeof value !== "boolean") throw outOfRange(value, "boolean");
      writeBits(value ? 1n : 0n, bytes, offset, size, order);
    },
  );
}

export function float(size: 4 | 8, order: ByteOrder): Codec<number> {
  const le = order === "le";
  return size === 4
    ? make(
        4,
        (b, o) => (le ? b.readFloatLE(o) : b.readFloatBE(o)),
        (v, b, o) => void (le ? b.writeFloatLE(v, o) : b.writeFloatBE(v, o)),
      )
    : make(
        8,
        (b, o) => (le ? b.readDoubleLE(o) : b.readDoubleBE(o)),
        (v, b, o) => void (le ? b.writeDoubleLE(v, o) : b.writeDoubleBE(v, o)),
      );
}

/** Values without a name decode to their number (bigint above 4 bytes); names and numbers are accepted. */
export function enumeration<Name extends string>(
  size: 1 | 2 | 4,
  signed: boolean,
  order: ByteOrder,
  values: Readonly<Record<Name, number>>,
): Codec<Name | number>;
export function enumeration<Name extends string>(
  size: 8,
  signed: boolean,
  order: ByteOrder,
  values: Readonly<Record<Name, bigint>>,
): Codec<Name | bigint>;
export function enumeration(
  size: number,
  signed: boolean,
  order: ByteOrder,
  values: Readonly<Record<string, number | bigint>>,
): Codec<string | number> | Codec<string | bigint>;
export function enumeration(
  size: number,
  signed: boolean,
  order: ByteOrder,
  values: Readonly<Record<string, number | bigint>>,
): Codec<string | number> | Codec<string | bigint> {
  const number = int(size, signed, order) as Codec<number | bigint>;
  const names = new Map<number | bigint, string>();
  const numbers = new Map<string, number | bigint>();
  for (const [name, value] of Object.entries(values)) {
    const key = size > 4 ? BigInt(value) : Number(value);
    if (!names.has(key)) names.set(key, name);
    numbers.set(name, key);
  }
  return make<string | number | bigint>(
    size,
    (bytes, offset) => {
      const value = number.decode(bytes, offset);
      return names.get(value) ?? value;
    },
    (value, bytes, offset) => {
      const raw = typeof value === "string" ? numbers.get(value) : value;
      if (raw === undefined) throw outOfRange(value, `value of the enum (${[...numbers.keys()].join(", ")})`);
      number.encodeInto(raw, bytes, offset);
    },
  ) as Codec<string | number>;
}

/** A byte array; decodes to a view. */
export function bytes(size: number): Codec<Buffer> {
  return make(
    size,
    (from, offset) => from.subarray(offset, offset + size),
    (value, to, offset) => {
      if (!(value instanceof Uint8Array) || value.byteLength !== size) {
        const got = value instanceof Uint8Array ? `${value.byteLength} bytes` : typeof value;
        throw invalid("encode", undefined, `expected a Buffer of ${size} bytes, got ${got}`);
      }
      to.set(value, offset);
    },
  );
}

export function array<T>(count: number, element: Codec<T>): Codec<T[]> {
  const stride = element.size;
  return make(
    count * stride,
    (from, offset) => {
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(element.decode(from, offset + i * stride));
      return values;
    },
    (values, to, offset) => {
      if (!Array.isArray(values) || values.length !== count) {
        const got = Array.isArray(values) ? `${values.length}` : typeof values;
        throw invalid("encode", undefined, `expected an array of ${count}, got ${got}`);
      }
      for (let i = 0; i < count; i++) element.encodeInto(values[i] as T, to, offset + i * stride);
    },
  );
}

/** A bit-field: `bits` bits, `shift` above the lowest of the `size` bytes. Decodes to a bigint if `wide`. */
export function bits(
  size: number,
  signed: boolean,
  order: ByteOrder,
  shift: number,
  width: number,
  wide: false,
): Codec<number>;
export function bits(
  size: number,
  signed: boolean,
  order: ByteOrder,
  shift: number,
  width: number,
  wide: true,
): Codec<bigint>;
export function bits(
  size: number,
  signed: boolean,
  order: ByteOrder,
  shift: number,
  width: number,
  wide: boolean,
): Codec<number> | Codec<bigint>;
export function bits(
  size: number,
  signed: boolean,
  order: ByteOrder,
  shift: number,
  width: number,
  wide: boolean,
): Codec<number> | Codec<bigint> {
  const what = `${signed ? "signed" : "unsigned"} ${width}-bit integer`;
  const at = BigInt(shift);
  const mask = (1n << BigInt(width)) - 1n;
  const read: Decode<bigint> = (from, offset) => {
    const raw = (readBits(from, offset, size, order) >> at) & mask;
    return signed ? BigInt.asIntN(width, raw) : raw;
  };
  const write: Encode<bigint | number> = (value, to, offset) => {
    const number = toBigInt(value, what);
    if ((signed ? BigInt.asIntN(width, number) : BigInt.asUintN(width, number)) !== number)
      throw outOfRange(value, what);
    // Neighbours share the bytes: only the field's own bits change.
    const before = readBits(to, offset, size, order) & ~(mask << at);
    writeBits(before | ((number & mask) << at), to, offset, size, order);
  };
  return wide ? make<bigint>(size, read, write) : make<number>(size, (b, o) => Number(read(b, o)), write);
}

/** Offset and codec of a field, under its name. */
export type Fields<T> = { readonly [K in keyof T]?: readonly [offset: number, codec: Codec<NonNullable<T[K]>>] };

/** An anonymous struct or union inside of another: its fields are the outer one's. */
export interface Anonymous {
  offset: number;
  codec: Codec<never>;
  names: readonly string[];
}

type AnyFields = Readonly<Record<string, readonly [offset: number, codec: Codec<never>]>>;
type Values = Record<string, unknown>;

/** A struct: an object with a property for each field. */
export function struct<T>(size: number, fields: Fields<T>, anonymous: readonly Anonymous[] = []): Codec<T> {
  return composite(size, fields as unknown as AnyFields, anonymous, false) as unknown as Codec<T>;
}

/** A union: an object with a property for each member, all of the same bytes. */
export function union<T>(size: number, fields: Fields<T>, anonymous: readonly Anonymous[] = []): Codec<T> {
  return composite(size, fields as unknown as AnyFields, anonymous, true) as unknown as Codec<T>;
}

/** The fields of an anonymous member, for the struct or union around it. */
export function anonymous<T>(offset: number, codec: Codec<T>, names: readonly (keyof T & string)[]): Anonymous {
  return { offset, codec: codec as unknown as Codec<never>, names };
}

interface Part {
  names: readonly string[];
  offset: number;
  size: number;
  decodeTo(target: Values, bytes: Buffer, offset: number): void;
  /** Writes what the value has of this part. */
  encodeFrom(value: Values, bytes: Buffer, offset: number): void;
}

function composite(size: number, fields: AnyFields, inner: readonly Anonymous[], overlay: boolean): Codec<Values> {
  const parts: Part[] = [
    ...Object.entries(fields).map(([name, [offset, codec]]) => namedPart(name, offset, codec as Codec<unknown>)),
    ...inner.map((part) => anonymousPart(part)),
  ];
  const known = new Set(parts.flatMap((part) => part.names));
  return make<Values>(
    size,
    (from, offset) => {
      const target: Values = {};
      for (const part of parts) part.decodeTo(target, from, offset + part.offset);
      return target;
    },
    (value, to, offset) => {
      if (typeof value !== "object" || value === null) throw outOfRange(value, "object");
      for (const name in value) {
        if (!known.has(name)) throw invalid("encode", name, `no such field (there are ${[...known].join(", ")})`);
      }
      to.fill(0, offset, offset + size);
      if (overlay) {
        const present = parts.filter((part) => part.names.some((name) => value[name] !== undefined));
        encodeUnion(value, to.subarray(offset, offset + size), present);
      } else {
        for (const part of parts) part.encodeFrom(value, to, offset + part.offset);
      }
    },
  );
}

/** The largest member decides; the others must say the same of the bytes that they share with it. */
function encodeUnion(value: Values, to: Buffer, present: readonly Part[]): void {
  const [first, ...others] = [...present].sort((a, b) => b.size - a.size);
  first?.encodeFrom(value, to, first.offset);
  for (const part of others) {
    const scratch = Buffer.from(to);
    part.encodeFrom(value, scratch, part.offset);
    if (!scratch.equals(to)) {
      const names = present.flatMap((p) => p.names).join(", ");
      throw invalid("encode", names, "the members of the union disagree: give one of them");
    }
  }
}

function namedPart(name: string, offset: number, codec: Codec<unknown>): Part {
  return {
    names: [name],
    offset,
    size: codec.size,
    decodeTo(target, from, at) {
      target[name] = codec.decode(from, at);
    },
    encodeFrom(value, to, at) {
      const field = value[name];
      if (field === undefined) return;
      try {
        codec.encodeInto(field, to, at);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        const path = error.objectName === undefined ? name : `${name}.${error.objectName}`;
        throw invalid("encode", path, error.reason);
      }
    },
  };
}

function anonymousPart({ offset, codec, names }: Anonymous): Part {
  const inner = codec as unknown as Codec<Values>;
  return {
    names,
    offset,
    size: codec.size,
    decodeTo(target, from, at) {
      Object.assign(target, inner.decode(from, at));
    },
    encodeFrom(value, to, at) {
      const own = Object.fromEntries(names.filter((n) => value[n] !== undefined).map((n) => [n, value[n]]));
      inner.encodeInto(own, to, at);
    },
  };
}

/** All property names that a struct's or union's layout gives to its objects. */
export function fieldNames(layout: Layout): string[] {
  if (layout.kind !== "struct" && layout.kind !== "union") return [];
  return layout.fields.flatMap((field) => (field.name === "" ? fieldNames(field.layout) : [field.name]));
}

/** The codec of a layout. */
export function codecOf(layout: Layout): Codec<unknown> {
  return build(layout) as Codec<unknown>;
}

function build(layout: Layout): unknown {
  switch (layout.kind) {
    case "int":
      return int(layout.size, layout.signed, layout.order);
    case "bool":
      return bool(layout.size, layout.order);
    case "float":
      return float(layout.size as 4 | 8, layout.order);
    case "enum":
      return enumeration(layout.size, layout.signed, layout.order, Object.fromEntries(layout.values));
    case "bytes":
      return bytes(layout.size);
    case "array":
      return array(layout.count, codecOf(layout.element));
    case "bits":
      return bits(layout.size, layout.signed, layout.order, layout.shift, layout.bits, layout.wide);
    case "struct":
    case "union": {
      const named = layout.fields.filter((field) => field.name !== "");
      const fields = Object.fromEntries(named.map((f) => [f.name, [f.offset, codecOf(f.layout)]]));
      const inner = layout.fields
        .filter((field) => field.name === "")
        .map(
          (f): Anonymous => ({
            offset: f.offset,
            codec: codecOf(f.layout) as unknown as Codec<never>,
            names: fieldNames(f.layout),
          }),
        );
      return composite(layout.size, fields as unknown as AnyFields, inner, layout.kind === "union");
    }
  }
}
