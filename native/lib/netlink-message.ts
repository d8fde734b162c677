/** What netlink's datagrams are made of. Numbers are in host byte order. */
import { endianness } from "node:os";
import { cText } from "./c-text.js";

const LE = endianness() === "LE";

/** Attributes by type; of several of a type, the last. */
export class Attributes {
  readonly #bytes: Buffer;
  /** By type, where the value begins, times 65,536, plus its length. */
  readonly #places = new Map<number, number>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = hostU16(bytes, at);
      if (length < 4 || at + length > bytes.length) break;
      this.#places.set(hostU16(bytes, at + 2) & 0x3fff, (at + 4) * 65_536 + length - 4);
      at += (length + 3) & ~3;
    }
  }

  /** The values of all, in the order in which they come: of a list, whose attributes are of one type. */
  *values(): Generator<Buffer> {
    for (let at = 0; at + 4 <= this.#bytes.length; ) {
      const length = hostU16(this.#bytes, at);
      if (length < 4 || at + length > this.#bytes.length) return;
      yield this.#bytes.subarray(at + 4, at + length);
      at += (length + 3) & ~3;
    }
  }

  /** The value of one, which is a part of the message. */
  bytes(type: number): Buffer | undefined {
    const place = this.#places.get(type);
    if (place === undefined) return undefined;
    const at = Math.floor(place / 65_536);
    return this.#bytes.subarray(at, at + (place % 65_536));
  }

  nested(type: number): Attributes | undefined {
    const bytes = this.bytes(type);
    return bytes === undefined ? undefined : new Attributes(bytes);
  }

  u8(type: number): number | undefined {
    return this.bytes(type)?.[0];
  }

  u16(type: number): number | undefined {
    const bytes = this.bytes(type);
    return bytes === undefined || bytes.length < 2 ? undefined : hostU16(bytes, 0);
  }

  u32(type: number): number | undefined {
    const bytes = this.bytes(type);
    return bytes === undefined || bytes.length < 4 ? undefined : hostU32(bytes, 0);
  }

  text(type: number): string | undefined {
    const bytes = this.bytes(type);
    return bytes === undefined ? undefined : cText(bytes);
  }
}

/** A number in host byte order. */
export function hostU16(bytes: Buffer, at: number): number {
  return LE ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

/** A number in host byte order. */
export function hostU32(bytes: Buffer, at: number): number {
  return LE ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

export function putU32(bytes: Buffer, value: number, at: number): void {
  if (LE) bytes.writeUInt32LE(value >>> 0, at);
  else bytes.writeUInt32BE(value >>> 0, at);
}

/** One attribute: its length and type, the value, and what fills it up to 4 bytes. */
export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
  putU16(bytes, 4 + value.length, 0);
  putU16(bytes, type, 2);
  value.copy(bytes, 4);
  return bytes;
}

export function putU16(bytes: Buffer, value: number, at: number): void {
  if (LE) bytes.writeUInt16LE(value, at);
  else bytes.writeUInt16BE(value, at);
}

/** Of each message: its length, type, flags, sequence number and the receiver's id (nlmsghdr, linux/netlink.h). */
export const HEADER = 16;

export interface RawMessage {
  type: number;
  flags: number;
  sequence: number;
  /** What follows the header. */
  body: Buffer;
}

/** The messages of one datagram. */
export function* messagesOf(datagram: Buffer): Generator<RawMessage> {
  for (let at = 0; at + HEADER <= datagram.length; ) {
    const size = hostU32(datagram, at);
    if (size < HEADER) return;
    const body = datagram.subarray(at + HEADER, Math.min(datagram.length, at + size));
    yield {
      type: hostU16(datagram, at + 4),
      flags: hostU16(datagram, at + 6),
      sequence: hostU32(datagram, at + 8),
      body,
    };
    at += (size + 3) & ~3;
  }
}
