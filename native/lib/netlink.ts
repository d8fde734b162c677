/** Parses the answers of rtnetlink dumps (host byte order). */
import { endianness } from "node:os";
import { addon } from "./addon.js";
import { BpfError } from "./error.js";

const LE = endianness() === "LE";

export class Attributes {
  readonly #byType = new Map<number, Buffer>();

  constructor(bytes: Buffer) {
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = u16(bytes, at);
      if (length < 4 || at + length > bytes.length) break;
      this.#byType.set(u16(bytes, at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
      at += (length + 3) & ~3;
    }
  }

  nested(type: number): Attributes | undefined {
    const bytes = this.#byType.get(type);
    return bytes === undefined ? undefined : new Attributes(bytes);
  }

  u8(type: number): number | undefined {
    return this.#byType.get(type)?.[0];
  }

  u32(type: number): number | undefined {
    const bytes = this.#byType.get(type);
    return bytes === undefined || bytes.length < 4 ? undefined : u32(bytes, 0);
  }

  text(type: number): string | undefined {
    return this.#byType.get(type)?.toString("utf8").replace(/\0.*$/s, "");
  }
}

export function u16(bytes: Buffer, at: number): number {
  return LE ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

export function u32(bytes: Buffer, at: number): number {
  return LE ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

export function putU32(bytes: Buffer, value: number, at: number): void {
  if (LE) bytes.writeUInt32LE(value >>> 0, at);
  else bytes.writeUInt32BE(value >>> 0, at);
}

export interface Message {
  type: number;
  /** The fixed struct that the message begins with. */
  header: Buffer;
  attributes: Attributes;
}

/** Asks for a dump. The request is the fixed struct; each answer begins with one of the same size. */
export function* dump(type: number, request: Buffer): Generator<Message> {
  const answer = addon.netlinkDump(type, request);
  if (typeof answer === "number")
    throw new BpfError({ operation: "netlink dump", objectName: `${type}`, errno: answer });
  for (let at = 0; at + 16 <= answer.length; ) {
    const length = u32(answer, at);
    const body = answer.subarray(at + 16, at + length);
    yield {
      type: u16(answer, at + 4),
      header: body.subarray(0, request.length),
      attributes: new Attributes(body.subarray(request.length)),
    };
    at += (length + 3) & ~3;
  }
}
