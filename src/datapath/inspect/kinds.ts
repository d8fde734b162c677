/** What a field of a map can be besides a number, and how people write it: both ways between bytes and words. */

import { formatAddress, parseAddress, parsePrefix } from "../../model/ipv4.js";
import { deniedMark, ruleOfMark } from "../../plan/rules.js";
import { readU16, readU32, u32 } from "../layout.js";
import { reasons } from "../reasons.js";

/** Both ways between numbers and names. `#<number>` where there is no name. */
export interface Names {
  tenant(id: number): string;
  device(ifindex: number): string;
  /** Undefined when there is none of that name. */
  tenantId(name: string): number | undefined;
  deviceIndex(name: string): number | undefined;
}

/** Bytes of a field, and how many of their bits count where the key is a prefix: all, if not said. */
export interface Written {
  readonly bytes: Buffer;
  readonly bits?: number;
}

export interface Kind {
  /** For messages, such as `address`. */
  readonly name: string;
  /** As JSON text. `bits`: how many of the field's count, where the key is a prefix. */
  show(bytes: Buffer, at: number, names: Names, bits?: number): string;
  /** Undefined when the word is none. Missing where nobody looks anything up by such a field. */
  parse?(word: string, size: number, names: Names): Written | undefined;
}

const quoted = (text: string) => JSON.stringify(text);

/** A number in the machine's order, of 1, 2 or 4 bytes. */
function readNumber(bytes: Buffer, at: number, size: number): number {
  if (size === 1) return bytes.readUInt8(at);
  return size === 2 ? readU16(bytes, at) : readU32(bytes.subarray(at, at + 4), 0);
}

export function writeNumber(value: number, size: number): Buffer | undefined {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) return undefined;
  const words = size === 1 ? new Uint8Array([value]) : size === 2 ? new Uint16Array([value]) : new Uint32Array([value]);
  return Buffer.from(words.buffer);
}

const be32Of = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** Decimal, or hexadecimal with 0x; also after `#`. */
export function parseNumber(word: string): number | undefined {
  return /^#?(\d+|0x[0-9a-f]+)$/i.test(word) ? Number(word.replace("#", "")) : undefined;
}

/** Kinds of numbers that have names. */
function named(
  name: string,
  nameOf: (value: number, names: Names) => string,
  numberOf: (word: string, names: Names) => number | undefined,
  size: 1 | 2 | 4 = 4,
): Kind {
  return {
    name,
    show: (bytes, at, names) => quoted(nameOf(readNumber(bytes, at, size), names)),
    parse: (word, _size, names) => {
      const bytes = writeNumber(numberOf(word, names) ?? parseNumber(word) ?? -1, size);
      return bytes && { bytes };
    },
  };
}

const fromList = (list: readonly string[]) => ({
  nameOf: (value: number) => list[value] ?? `#${value}`,
  numberOf: (word: string) => (list.includes(word) ? list.indexOf(word) : undefined),
});

function enumerated(name: string, list: readonly string[], size: 1 | 2 | 4 = 4): Kind {
  const { nameOf, numberOf } = fromList(list);
  return named(name, nameOf, numberOf, size);
}

/** IPPROTO_* */
const protocols: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp" };
const protocolName = (value: number) => protocols[value] ?? `#${value}`;
const protocolNumber = (word: string) =>
  Number(Object.entries(protocols).find(([, name]) => name === word)?.[0] ?? parseNumber(word) ?? Number.NaN);

/** enum xgw_wrap */
const wraps = ["gretap", "gre", "plain"] as const;
/** enum xgw_encap_state */
const encapStates = ["free", "writing", "ready", "retired", "left"] as const;

/** 4 bytes in network byte order. */
const address: Kind = {
  name: "address",
  show: (bytes, at) => quoted(formatAddress(bytes.readUInt32BE(at))),
  parse: (word) => {
    const value = parseAddress(word);
    return value === undefined ? undefined : { bytes: be32Of(value) };
  },
};

const network: Kind = {
  name: "address[/length]",
  show: (bytes, at, _names, bits = 32) => quoted(`${formatAddress(bytes.readUInt32BE(at))}/${bits}`),
  parse: (word) => {
    const prefix = parsePrefix(word.includes("/") ? word : `${word}/32`);
    return prefix && { bytes: be32Of(prefix.address), bits: prefix.length };
  },
};

/** 8 bits of protocol and 16 of port, as the first bits of a big-endian word. */
const service: Kind = {
  name: "any|protocol[/port]",
  show: (bytes, at, _names, bits = 24) => {
    if (bits < 8) return quoted("any");
    const protocol = protocolName(bytes.readUInt8(at));
    if (bits === 8) return quoted(protocol);
    const port = bytes.readUInt16BE(at + 1);
    const last = port + 2 ** (24 - Math.min(bits, 24)) - 1;
    return quoted(`${protocol}/${port === last ? port : `${port}-${last}`}`);
  },
  parse: (word) => {
    if (word === "any") return { bytes: be32Of(0), bits: 0 };
    const [protocolWord = "", portWord] = word.split("/");
    const protocol = protocolNumber(protocolWord);
    const port = portWord === undefined ? 0 : (parseNumber(portWord) ?? -1);
    if (!(protocol >= 0 && protocol <= 255 && port >= 0 && port <= 65_535)) return undefined;
    return { bytes: be32Of(protocol * 2 ** 24 + port * 2 ** 8), bits: portWord === undefined ? 8 : 24 };
  },
};

const tenantNumber = (word: string, names: Names) => names.tenantId(word) ?? parseNumber(word);

const bigEndianTenant: Kind = {
  name: "tenant",
  show: (bytes, at, names) => quoted(names.tenant(bytes.readUInt32BE(at))),
  parse: (word, _size, names) => {
    const id = tenantNumber(word, names);
    return id === undefined ? undefined : { bytes: be32Of(id) };
  },
};

/** Tenant << 1, + 1 for outbound; big-endian. */
const scope: Kind = {
  name: "tenant/inbound|tenant/outbound",
  show: (bytes, at, names) => {
    const word = bytes.readUInt32BE(at);
    return quoted(`${names.tenant(word >>> 1)}/${word % 2 === 1 ? "outbound" : "inbound"}`);
  },
  parse: (word, _size, names) => {
    const [, tenant = "", direction] = /^(.+)\/(inbound|outbound)$/.exec(word) ?? [];
    const id = tenantNumber(tenant, names);
    return id === undefined ? undefined : { bytes: be32Of(id * 2 + (direction === "outbound" ? 1 : 0)) };
  },
};

/** `inbound 1`: direction and index of the rule as in the config, from 0 on. */
export function markText(mark: number): string {
  const rule = ruleOfMark(mark);
  const text = rule ? `${rule.direction} ${rule.rule}` : "no rule";
  return (mark & deniedMark) === 0 ? text : `denied by ${text}`;
}

/** Tenant << 32 | mark, as rules have it. */
const tenantRule: Kind = {
  name: "rule",
  show: (bytes, at, names) => {
    const word = bytes.readBigUInt64LE(at);
    if (word === 0n) return quoted("free");
    return quoted(`${names.tenant(Number(word >> 32n))}: ${markText(Number(word & 0xffff_ffffn))}`);
  },
};

/** 6 bytes, of 8. */
const mac: Kind = {
  name: "MAC address",
  show: (bytes, at) => quoted((bytes.toString("hex", at, at + 6).match(/../g) ?? []).join(":")),
};

const hexOf = (name: string, size: number): Kind => ({
  name,
  show: (bytes, at) => quoted(bytes.toString("hex", at, at + size)),
  parse: (word) =>
    /^[0-9a-f]+$/i.test(word) && word.length === size * 2 ? { bytes: Buffer.from(word, "hex") } : undefined,
});

/** XGW_DEVICE_VRF */
const vrfFlag = 0x8000_0000;

const tenant = (size: 2 | 4): Kind => named("tenant", (id, names) => names.tenant(id), tenantNumber, size);
const device = named(
  "device",
  (index, names) => names.device(index),
  (word, names) => names.deviceIndex(word),
);

/** By the names that meanings.ts uses. */
export const kinds = {
  address,
  network,
  service,
  bigEndianTenant,
  scope,
  tenant: tenant(4),
  shortTenant: tenant(2),
  /** With a flag for the tenant's VRF. */
  tunnelOf: {
    name: "tenant",
    show: (bytes, at, names) => {
      const word = readNumber(bytes, at, 4);
      return quoted(`${names.tenant(word % vrfFlag)}${word >= vrfFlag ? " (VRF)" : ""}`);
    },
  },
  device,
  /** A device, or what enum xgw_way says. */
  way: {
    name: "device",
    show: (bytes, at, names) => {
      const word = readNumber(bytes, at, 4);
      const special = { 0: "unasked", 4294967294: "refused", 4294967295: "untold" }[word];
      return quoted(special ?? names.device(word));
    },
  },
  /** A port, in network byte order. */
  port: {
    name: "port",
    show: (bytes, at) => String(bytes.readUInt16BE(at)),
    parse: (word) => {
      const port = parseNumber(word);
      const bytes = Buffer.alloc(2);
      if (port === undefined || port > 65_535) return undefined;
      bytes.writeUInt16BE(port);
      return { bytes };
    },
  },
  protocol: named("protocol", protocolName, protocolNumber, 1),
  wrap: enumerated("wrap", wraps, 1),
  wideWrap: enumerated("wrap", wraps, 4),
  encapState: enumerated("state", encapStates),
  reason: enumerated(
    "reason",
    reasons.map(({ name }) => name),
    2,
  ),
  mark: {
    name: "mark",
    show: (bytes, at) => quoted(markText(readNumber(bytes, at, 4))),
    parse: (word) => {
      const number = parseNumber(word);
      return number === undefined || number > 0xffff_ffff ? undefined : { bytes: u32(number) };
    },
  },
  tenantRule,
  mac,
  page: hexOf("page", 8),
  header: hexOf("header", 64),
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof kinds;
