/**
 * A table of the family `ip`, or the small one of `ip6`, read by netlink (linux/netfilter/nf_tables.h). What is in sets is
 * as the packets or the kernel have it.
 */

import { Attributes, attribute, BpfError, cText, hostU16, hostU32, NetlinkSocket } from "libbpf-ts";
import { be32 } from "../bytes.js";
import { XgwError } from "../errors.js";
import { formatAddress } from "../model/ipv4.js";
import { type SetTypes, typesOfSet } from "../plan/rules.js";
import type { Chain } from "../plan/seal.js";
import { intervalSets, isShareWhole, setOfMap } from "../plan/shares.js";
import { nest, netfilter, ofIpv4, ofIpv6 } from "./netfilter.js";

/** As nft names it. */
export type NftFamily = "ip" | "ip6";
const ofFamily: Readonly<Record<NftFamily, Buffer>> = { ip: ofIpv4, ip6: ofIpv6 };

export interface NftElement {
  /** Parts with ` . ` between them; a range is `from-to`. See `unknown`. */
  readonly key: string;
  /** Of a map; of one of verdicts, the chain to jump to. */
  readonly value: string;
  readonly counter?: { readonly packets: number; readonly bytes: number };
}

/** The key or value of an element that is none of the set's types: such as one for all keys, which nft writes like this. */
export const unknown = "*";

export interface NftTable {
  /** Whether somebody has put it out of force, with all that is in it. */
  readonly isDormant: boolean;
  readonly chains: ReadonlyMap<string, Chain>;
  /** Elements by the set or map that they are in, of those whose types are known. */
  readonly sets: ReadonlyMap<string, readonly NftElement[]>;
  /** Name of the flowtable by device. */
  readonly flowtableDevices: ReadonlyMap<string, string>;
}

/** NFNL_SUBSYS_NFTABLES, the upper byte of a message's type; in the lower, enum nf_tables_msg_types. */
export const nftSubsystem = 10;
const asks = { tables: 1, chains: 4, rules: 7, sets: 10, elements: 13, generation: 16, flowtables: 23 } as const;

/** In every kind of message the first attribute is the table (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, ...). */
export const ofTable = 1;
/** NFTA_SET_NAME, NFTA_FLOWTABLE_NAME. */
const ofNamed = { name: 2 } as const;
/** NFTA_TABLE_FLAGS, and of the flags NFT_TABLE_F_DORMANT. */
const ofWholeTable = { flags: 2 } as const;
const dormantFlag = 1;
const ofChain = { name: 3, policy: 5 } as const;
const ofRule = { chain: 2, handle: 3, expressions: 4 } as const;
const ofSet = { flags: 3 } as const;
/** NFTA_LIST_ELEM. */
const ofList = { element: 1 } as const;
/** NFTA_SET_ELEM_LIST_*, NFTA_SET_ELEM_*, NFTA_DATA_*, NFTA_VERDICT_*, NFTA_EXPR_*, NFTA_COUNTER_*. */
const ofElements = { set: 2, elements: 3 } as const;
const ofElement = { key: 1, data: 2, expression: 7, keyEnd: 10 } as const;
const ofData = { value: 1, verdict: 2 } as const;
const ofVerdict = { chain: 2 } as const;
const ofExpression = { name: 1, data: 2 } as const;
const ofCounter = { bytes: 1, packets: 2 } as const;
/** NFTA_FLOWTABLE_HOOK, and within it NFTA_FLOWTABLE_HOOK_DEVS. */
const ofFlowtable = { hook: 3 } as const;
const ofHook = { devices: 3 } as const;

/**
 * The table of that name as of one moment; undefined when there is none.
 *
 * @param typesOf of sets by name; others are not looked into
 */
export function readTable(
  name: string,
  typesOf: (set: string) => SetTypes | undefined,
  family: NftFamily = "ip",
): NftTable | undefined {
  return reading((reader) => {
    const table = text(ofTable, name);
    const flags = reader.one(asks.tables, [table], (one) => one.bytes(ofWholeTable.flags)?.readUInt32BE() ?? 0);
    if (flags === undefined) return undefined;
    const chains = chainsOf(reader, name);
    const sets = new Map<string, readonly NftElement[]>();
    for (const set of reader.all(asks.sets, [table], toSet)) {
      const types = typesOf(set.name);
      if (types) sets.set(set.name, readElements(reader, name, set, types));
    }
    const flowtableDevices = new Map(reader.all(asks.flowtables, [table], toFlowtable).flat());
    return { isDormant: (flags & dormantFlag) !== 0, chains, sets, flowtableDevices };
  }, family);
}

/** Chains of the table by name; none where there is no table. */
export const readChains = (table: string, family: NftFamily = "ip"): ReadonlyMap<string, Chain> =>
  reading((reader) => chainsOf(reader, table), family);

function chainsOf(reader: Reader, table: string): ReadonlyMap<string, Chain> {
  const rules = rulesOf(reader, [text(ofTable, table)]);
  return new Map(reader.all(asks.chains, [], (one) => (one.text(ofTable) === table ? toChain(one, rules) : undefined)));
}

/** By chain: see `Chain`. */
function rulesOf(reader: Reader, of: readonly Buffer[]): ReadonlyMap<string, readonly Buffer[]> {
  const rules = new Map<string, Buffer[]>();
  const bytesOf = (one: Attributes, what: number) => one.bytes(what) ?? Buffer.alloc(0);
  const toRule = (one: Attributes) =>
    [
      one.text(ofRule.chain) ?? "",
      Buffer.concat([bytesOf(one, ofRule.handle), bytesOf(one, ofRule.expressions)]),
    ] as const;
  for (const [chain, rule] of reader.all(asks.rules, of, toRule)) {
    const others = rules.get(chain);
    if (others) others.push(rule);
    else rules.set(chain, [rule]);
  }
  return rules;
}

function toChain(attributes: Attributes, rules: ReadonlyMap<string, readonly Buffer[]>): [name: string, chain: Chain] {
  const name = attributes.text(ofChain.name) ?? "";
  const policy = attributes.bytes(ofChain.policy)?.readUInt32BE();
  return [name, { rules: rules.get(name) ?? [], ...(policy === undefined ? {} : { policy }) }];
}

/** What a notification of a flowtable tells of its devices: see `KernelEvent`. */
export function toChangedDevices(attributes: Attributes): { readonly devices?: readonly string[] } {
  if (!attributes.nested(ofFlowtable.hook)) return {};
  return { devices: toFlowtable(attributes).map(([device]) => device) };
}

/** Its name by device. */
function toFlowtable(attributes: Attributes): [device: string, flowtable: string][] {
  const flowtable = attributes.text(ofNamed.name) ?? "";
  const devices = attributes.nested(ofFlowtable.hook)?.nested(ofHook.devices);
  return Array.from(devices?.values() ?? [], (device) => [cText(device), flowtable]);
}

/** Devices of a flowtable of the table; undefined when there is none. */
export function readFlowtable(table: string, name: string): readonly string[] | undefined {
  return reading((reader) => reader.one(asks.flowtables, named(table, name), toFlowtable))?.map(([device]) => device);
}

/** A set of the table, with no look at its others, which may be large; undefined when there is none. */
export function readSet(
  table: string,
  name: string,
  types: SetTypes,
  family: NftFamily = "ip",
): readonly NftElement[] | undefined {
  return reading((reader) => {
    const set = reader.one(asks.sets, named(table, name), toSet);
    return set && readElements(reader, table, set, types);
  }, family);
}

/**
 * A set of counters, which goes on counting: some elements at a time, and not as of one moment. None when there is no such
 * set.
 */
export function* scanSet(
  table: string,
  name: string,
  types: SetTypes,
  family: NftFamily = "ip",
): Generator<readonly NftElement[]> {
  using socket = new NetlinkSocket(netfilter);
  const asked = toRequest(ofFamily[family], asks.elements, [text(ofTable, table), text(ofElements.set, name)]);
  try {
    for (const { attributes } of socket.dump(asked, ofIpv4.length)) yield toElements(attributes, types, false);
  } catch (error) {
    if (!(error instanceof BpfError && error.code === "ENOENT")) throw error;
  }
}

/**
 * The elements with these keys that a set of the table has, looked up one by one; undefined when there is no such set. A
 * key is that of a packet: of a set of ranges, the element in whose range it is.
 */
export function readElementsOf(
  table: string,
  name: string,
  types: SetTypes,
  keys: Iterable<string>,
  family: NftFamily = "ip",
): readonly NftElement[] | undefined {
  return reading((reader) => lookUp(reader, table, name, types, keys), family);
}

function lookUp(
  reader: Reader,
  table: string,
  set: string,
  types: SetTypes,
  keys: Iterable<string>,
): NftElement[] | undefined {
  const found = reader.one(asks.sets, named(table, set), toSet);
  if (!found) return undefined;
  const { hasIntervals } = found;
  return Array.from(keys, (key) => {
    const wanted = nest(ofElements.elements, nest(ofList.element, toKey(types.key, key, hasIntervals)));
    return (
      reader.one(asks.elements, [...named(table, set), wanted], (told) => toElements(told, types, hasIntervals)) ?? []
    );
  }).flat();
}

/** Whether a share has its part of the table, and its zones are led there; false, too, when that cannot be read. */
export function hasWholeShare(table: string, share: number): boolean {
  try {
    return reading((reader) =>
      isShareWhole(
        share,
        (map, zone) => lookUp(reader, table, map, typesOfSet(map) as SetTypes, [zone])?.[0]?.value,
        (chain) => {
          const of = [text(ofTable, table), text(ofChain.name, chain)];
          const rules = () => rulesOf(reader, [text(ofTable, table), text(ofRule.chain, chain)]);
          return reader.one(asks.chains, of, (one) => toChain(one, rules())[1]);
        },
      ),
    );
  } catch (error) {
    if (error instanceof XgwError || error instanceof BpfError) return false;
    throw error;
  }
}

interface NftSet {
  readonly name: string;
  readonly hasIntervals: boolean;
}

/** NFT_SET_INTERVAL. */
const intervalFlag = 4;

function toSet(attributes: Attributes): NftSet {
  const flags = attributes.bytes(ofSet.flags)?.readUInt32BE() ?? 0;
  return { name: attributes.text(ofNamed.name) ?? "", hasIntervals: (flags & intervalFlag) !== 0 };
}

/** How often a table that changes meanwhile is read. */
const attempts = 20;

/** @throws XgwError when the tables change all the time */
function reading<T>(read: (reader: Reader) => T, family: NftFamily = "ip"): T {
  using socket = new NetlinkSocket(netfilter);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const reader = new Reader(socket, ofFamily[family]);
    try {
      reader.look();
      const result = read(reader);
      reader.look();
      if (!reader.hasChanged) return result;
    } catch (error) {
      // A set that was there a moment ago; a dump that something has always come between.
      if (!(error instanceof BpfError && ["ENOENT", "EINTR"].includes(error.code))) throw error;
    }
  }
  throw new XgwError("the nft tables change all the time, so that they cannot be read", {
    remedy: "see what changes them: nft monitor",
  });
}

class Reader {
  private generation: number | undefined;
  hasChanged = false;

  constructor(
    private readonly socket: NetlinkSocket,
    private readonly family: Buffer,
  ) {}

  /** At the tables' generation, which no answer tells when there is nothing to answer. */
  look(): void {
    this.one(asks.generation, [], () => undefined);
  }

  /** One thing; undefined when there is none. */
  one<T>(ask: number, of: readonly Buffer[], toItem: (attributes: Attributes) => T): T | undefined {
    try {
      const { header, attributes } = this.socket.get(toRequest(this.family, ask, of), ofIpv4.length);
      this.seen(generationOf(header));
      return toItem(attributes);
    } catch (error) {
      if (error instanceof BpfError && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  all<T>(ask: number, of: readonly Buffer[], toItem: (attributes: Attributes) => T | undefined): T[] {
    const told = this.socket.collect(toRequest(this.family, ask, of), ofIpv4.length, (header, attributes) => ({
      generation: generationOf(header),
      item: toItem(attributes),
    }));
    for (const { generation } of told) this.seen(generation);
    return told.flatMap(({ item }) => (item === undefined ? [] : [item]));
  }

  private seen(generation: number): void {
    this.generation ??= generation;
    if (generation !== this.generation) this.hasChanged = true;
  }
}

const toRequest = (family: Buffer, ask: number, of: readonly Buffer[]) => ({
  type: (nftSubsystem << 8) | ask,
  body: Buffer.concat([family, ...of]),
});

/** Of all tables: its last 16 bits. */
const generationOf = (header: Buffer) => header.readUInt16BE(2);

function readElements(reader: Reader, table: string, set: NftSet, types: SetTypes): NftElement[] {
  const asked = [text(ofTable, table), text(ofElements.set, set.name)];
  return reader.all(asks.elements, asked, (attributes) => toElements(attributes, types, set.hasIntervals)).flat();
}

/** Those that a message tells of. */
function toElements(attributes: Attributes, types: SetTypes, hasIntervals: boolean): NftElement[] {
  return Array.from(attributes.nested(ofElements.elements)?.values() ?? [], (bytes) =>
    toElement(new Attributes(bytes), types, hasIntervals),
  );
}

/** What a notification of elements that have come or gone tells: the set, and which. */
export function toChangedElements(attributes: Attributes): { readonly set: string; readonly elements: NftElement[] } {
  const set = attributes.text(ofElements.set) ?? "";
  const types = typesOfSet(set);
  return { set, elements: types ? toElements(attributes, types, intervalSets.includes(setOfMap(set))) : [] };
}

function toElement(attributes: Attributes, types: SetTypes, hasIntervals: boolean): NftElement {
  const from = attributes.nested(ofElement.key)?.bytes(ofData.value);
  const to = attributes.nested(ofElement.keyEnd)?.bytes(ofData.value) ?? from;
  const key = (from && to && format(types.key, from, to, hasIntervals ? ordered : fields)) ?? unknown;
  const value = toValue(attributes.nested(ofElement.data), types.value);
  const counter = toCounter(attributes.nested(ofElement.expression));
  return counter ? { key, value, counter } : { key, value };
}

function toValue(data: Attributes | undefined, types: readonly string[]): string {
  if (types.length === 0) return "";
  if (types[0] === "verdict") return data?.nested(ofData.verdict)?.text(ofVerdict.chain) ?? unknown;
  const bytes = data?.bytes(ofData.value);
  return (bytes && format(types, bytes, bytes, fields)) ?? unknown;
}

function toCounter(expression: Attributes | undefined): NftElement["counter"] {
  if (expression?.text(ofExpression.name) !== "counter") return undefined;
  const data = expression.nested(ofExpression.data);
  const count = (type: number) => Number(data?.bytes(type)?.readBigUInt64BE() ?? 0n);
  return { packets: count(ofCounter.packets), bytes: count(ofCounter.bytes) };
}

interface Field {
  /** Bytes. */
  readonly size: number;
  readonly read: (bytes: Buffer, at: number) => string;
  /** What `read` reads as the text. */
  readonly toBytes: (text: string) => Uint8Array;
}

const address: Field = {
  size: 4,
  read: (bytes, at) => formatAddress(bytes.readUInt32BE(at)),
  toBytes: (text) => Uint8Array.from(text.split("."), Number),
};
const networkU16: Field = {
  size: 2,
  read: (bytes, at) => String(bytes.readUInt16BE(at)),
  toBytes: (text) => Uint8Array.of(Number(text) >> 8, Number(text)),
};
/** IFNAMSIZ. */
const deviceName: Field = {
  size: 16,
  read: (bytes, at) => cText(bytes.subarray(at, at + 16)),
  toBytes: (text) => Buffer.from(text),
};
const hostBytes = (numbers: Uint16Array | Uint32Array) => new Uint8Array(numbers.buffer);

/** By the words with which nft names them. */
const fields: Readonly<Record<string, Field>> = {
  "ct zone": {
    size: 2,
    read: (bytes, at) => String(hostU16(bytes, at)),
    toBytes: (text) => hostBytes(Uint16Array.of(Number(text))),
  },
  "ct mark": {
    size: 4,
    read: (bytes, at) => String(hostU32(bytes, at)),
    toBytes: (text) => hostBytes(Uint32Array.of(Number(text))),
  },
  "ip saddr": address,
  "ip daddr": address,
  "@nh,96,32": address, // the source, as raw bytes: those of a quoted packet are looked up there as well
  "ip protocol": {
    size: 1,
    read: (bytes, at) => String(bytes.readUInt8(at)),
    toBytes: (text) => Uint8Array.of(Number(text)),
  },
  "th dport": networkU16,
  "tcp option maxseg size": networkU16,
  "@th,32,32": {
    size: 4,
    read: (bytes, at) => String(bytes.readUInt32BE(at)),
    toBytes: (text) => be32(Number(text)),
  },
  iifname: deviceName,
  oifname: deviceName,
};

/** In keys of intervals, which the kernel compares byte by byte. */
const ordered: Readonly<Record<string, Field>> = { ...fields, "ct zone": networkU16 };

/** Bytes: parts of a concatenation begin at multiples of 4, and the last one is filled up. */
const roomOf = ({ size }: Field, types: readonly string[]) => (types.length === 1 ? size : (size + 3) & ~3);

function format(types: readonly string[], from: Buffer, to: Buffer, known: typeof fields): string | undefined {
  const parts: string[] = [];
  let at = 0;
  for (const type of types) {
    const field = known[type];
    if (!field || at + field.size > from.length || at + field.size > to.length) return undefined;
    parts.push(formatRange(field.read(from, at), field.read(to, at)));
    at += roomOf(field, types);
  }
  return at === from.length ? parts.join(" . ") : undefined;
}

/** The attributes of an element with this key, which is no range. */
function toKey(types: readonly string[], key: string, hasIntervals: boolean): Buffer {
  const known = hasIntervals ? ordered : fields;
  const parts = key.split(" . ").map((part, at) => {
    const field = known[types[at] ?? ""];
    if (!field) throw new Error(`${key}: not of ${types.join(" . ")}`);
    const bytes = Buffer.alloc(roomOf(field, types));
    bytes.set(field.toBytes(part));
    return bytes;
  });
  return nest(ofElement.key, attribute(ofData.value, Buffer.concat(parts)));
}

/** `a-b`, or `a` when both are the same. */
const formatRange = (from: string, to: string) => (from === to ? from : `${from}-${to}`);

const text = (type: number, value: string) => attribute(type, Buffer.from(`${value}\0`));

/** Something of a table, by its name. */
const named = (table: string, name: string) => [text(ofTable, table), text(ofNamed.name, name)];
