/** What a codec is, and what all of them share. */
import { invalid } from "../error.js";

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

/** @internal */
export type Decode<T> = (bytes: Buffer, offset: number) => T;
/** @internal */
export type Encode<T> = (value: T, bytes: Buffer, offset: number) => void;

/** @internal Adds the checks of room that all codecs have. */
export function make<T>(size: number, decode: Decode<T>, encode: Encode<T>): Codec<T> {
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

/** @internal */
export function outOfRange(value: unknown, what: string): Error {
  return invalid("encode", undefined, `${String(value)} is no ${what}`);
}
