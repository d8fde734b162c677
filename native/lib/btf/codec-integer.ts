/** Codecs of integers, of any size and either byte order, and of bit-fields. */
import { type Codec, type Decode, type Encode, make, outOfRange } from "./codec-base.js";
import type { ByteOrder } from "./layout.js";

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

/** @internal All bytes as one unsigned number. */
export function readBits(bytes: Buffer, offset: number, size: number, order: ByteOrder): bigint {
  let value = 0n;
  for (let i = 0; i < size; i++) {
    value = (value << 8n) | BigInt(bytes.readUInt8(order === "be" ? offset + i : offset + size - 1 - i));
  }
  return value;
}

/** @internal */
export function writeBits(value: bigint, bytes: Buffer, offset: number, size: number, order: ByteOrder): void {
  let rest = value;
  for (let i = 0; i < size; i++) {
    bytes.writeUInt8(Number(rest & 0xffn), order === "be" ? offset + size - 1 - i : offset + i);
    rest >>= 8n;
  }
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
