/** Bytes as JSON text by their type in BTF, with the values that bpftool prints: numbers in the machine's order. */
import { endianness } from "node:os";
import type { Btf } from "../btf/btf.js";
import { int as codec, codecOf } from "../btf/codec.js";
import { layoutOf } from "../btf/layout.js";
import type { BtfMember, BtfType } from "../btf/types.js";

/** Of the bytes from an offset on. Text, so that 64-bit numbers are exact. */
export type ToJson = (bytes: Buffer, offset: number) => string;

const LE = endianness() === "LE";

/** Compiled once for a type, and fast then. Types without values are `null`. */
export function typeToJson(btf: Btf, id: number): ToJson {
  const type = btf.resolve(id);
  switch (type.kind) {
    case "int":
      if (type.bool) return (bytes, offset) => String(bytes[offset] !== 0);
      return type.size > 8 ? wideInteger(type.size) : integer(type.size, type.signed);
    case "ptr":
      return integer(8, false);
    case "enum":
    case "enum64":
      return enumeration(type.size, type.signed, type.values);
    case "float": {
      const codec = codecOf(layoutOf(btf, id));
      return (bytes, offset) => JSON.stringify(codec.decode(bytes, offset));
    }
    case "array":
      return array(btf, type.element, type.count);
    case "struct":
    case "union":
      return object(type.members.map((member) => [member.name, memberToJson(btf, member)] as const));
    case "var":
      return object([[type.name, typeToJson(btf, type.type)]]);
    case "datasec":
      return object([[type.name, section(btf, type.variables)]]);
    default:
      return () => "null";
  }
}

/** As bpftool prints bytes: `["0x01","0xff"]`. */
export function bytesToJson(bytes: Buffer, offset: number, length: number): string {
  let text = "";
  for (let at = offset; at < offset + length; at++) text += quotedHex[bytes[at] as number];
  return `[${text.slice(0, -1)}]`;
}

const quotedHex = Array.from({ length: 256 }, (_, byte) => `"0x${byte.toString(16).padStart(2, "0")}",`);

function integer(size: number, signed: boolean): ToJson {
  if (size === 8) {
    // Most are small: a bigint is made for the others only.
    return (bytes, offset) => {
      const high = bytes.readInt32LE(offset + 4);
      if (LE && high === 0) return String(bytes.readUInt32LE(offset));
      if (LE) return String(signed ? bytes.readBigInt64LE(offset) : bytes.readBigUInt64LE(offset));
      return String(signed ? bytes.readBigInt64BE(offset) : bytes.readBigUInt64BE(offset));
    };
  }
  const number = codec(size as 1 | 2 | 4, signed, LE ? "le" : "be");
  return (bytes, offset) => String(number.decode(bytes, offset));
}

function wideInteger(size: number): ToJson {
  return (bytes, offset) => {
    const part = Buffer.from(bytes.subarray(offset, offset + size));
    return `"0x${(LE ? part.reverse() : part).toString("hex").replace(/^0+(?=.)/, "")}"`;
  };
}

function enumeration(
  size: number,
  signed: boolean,
  values: readonly { name: string; value: number | bigint }[],
): ToJson {
  const number = integer(size, signed);
  const names = new Map<string, string>();
  for (const { name, value } of values) if (!names.has(String(value))) names.set(String(value), JSON.stringify(name));
  return (bytes, offset) => {
    const value = number(bytes, offset);
    return names.get(value) ?? value;
  };
}

function array(btf: Btf, elementId: number, count: number): ToJson {
  const stride = btf.sizeOf(elementId);
  const element = typeToJson(btf, elementId);
  const list: ToJson = (bytes, offset) => {
    const parts: string[] = [];
    for (let i = 0; i < count; i++) parts.push(element(bytes, offset + i * stride));
    return `[${parts.join(",")}]`;
  };
  const type: BtfType = btf.resolve(elementId);
  if (type.kind !== "int" || type.name !== "char") return list;
  // Only what is printable up to a NUL is a text.
  return (bytes, offset) => {
    const end = bytes.subarray(offset, offset + count).indexOf(0);
    const text = bytes.toString("latin1", offset, offset + Math.max(end, 0));
    return end >= 0 && /^[\x20-\x7e]*$/.test(text) ? JSON.stringify(text) : list(bytes, offset);
  };
}

function memberToJson(btf: Btf, member: BtfMember): ToJson {
  if (member.bitSize === 0) {
    const value = typeToJson(btf, member.type);
    return (bytes, offset) => value(bytes, offset + member.bitOffset / 8);
  }
  return (bytes, offset) => `"0x${bitsOf(bytes, offset, member).toString(16)}"`;
}

function bitsOf(bytes: Buffer, offset: number, { bitOffset, bitSize }: BtfMember): bigint {
  const first = Math.floor(bitOffset / 8);
  const count = Math.ceil((bitOffset + bitSize) / 8) - first;
  let all = 0n;
  for (let i = 0; i < count; i++) all |= BigInt(bytes[offset + first + i] ?? 0) << BigInt(8 * (LE ? i : count - 1 - i));
  const low = bitOffset - first * 8;
  return (all >> BigInt(LE ? low : count * 8 - low - bitSize)) & ((1n << BigInt(bitSize)) - 1n);
}

function object(members: readonly (readonly [name: string, value: ToJson])[]): ToJson {
  const parts = members.map(([name, value]) => [`${JSON.stringify(name)}:`, value] as const);
  return (bytes, offset) => {
    let text = "";
    for (const [name, value] of parts) text += `${text === "" ? "" : ","}${name}${value(bytes, offset)}`;
    return `{${text}}`;
  };
}

function section(btf: Btf, variables: readonly { type: number; offset: number }[]): ToJson {
  const parts = variables.map(({ type, offset }) => [offset, typeToJson(btf, type)] as const);
  return (bytes, offset) => `[${parts.map(([at, value]) => value(bytes, offset + at)).join(",")}]`;
}
