/** Codecs of the other values without parts: booleans, floats, enums, byte arrays. */
import { invalid } from "../error.js";
import { type Codec, make, outOfRange } from "./codec-base.js";
import { int, readBits, writeBits } from "./codec-integer.js";
import type { ByteOrder } from "./layout.js";

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
