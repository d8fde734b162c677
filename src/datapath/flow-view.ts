/** The flow table to look at, with what says whether a flow is followed: templates, generations, rules. Nothing is written. */

import { BpfMap } from "libbpf-ts";
import { XgwError } from "../errors.js";
import { ruleRests } from "./accounting.js";
import { attachedNics } from "./attachments.js";
import { FlowMemory, type KeyWords, turned } from "./flow-memory.js";
import { flowOffsets, replyFlag } from "./flow-table.js";
import { readCount, readU16, readU32, u32 } from "./layout.js";
import { shapeDifferences, shapeOfMap, shapeOfSpec } from "./map-shape.js";
import { flowSeed, forgetterFile, openFile } from "./objects.js";
import type { Pins } from "./pins.js";
import { templateStates } from "./templates.js";

/** Offsets in struct xgw_encap. */
const encapFields = {
  ifindex: 4,
  realm: 8,
  wrap: 12,
  length: 13,
  mtu: 14,
  sampled: 18,
  unseen: 19,
  tenant: 20,
} as const;
const encapHeader = 32;

/** Why the packets of a flow go up, although it is in the table. */
export type Unfollowed = "generation" | "template_left" | "template_retired" | "template_gone" | "detached";

/** A header template, as far as it is of interest to people. */
export interface Template {
  readonly id: number;
  readonly state: number;
  readonly ifindex: number;
  readonly wrap: number;
  readonly tenant: number;
  /** Largest inner IP packet, bytes. */
  readonly mtu: number;
  /** Packets in a row that went up to see whether the kernel still sends that way, and that it was not seen to send. */
  readonly unseen: number;
  /** All of the outer headers. */
  readonly header: Buffer;
}

export class FlowView implements Disposable {
  readonly memory: FlowMemory;
  /** XDP runs on any NIC. */
  readonly isAttached: boolean;
  /** The learner runs on any NIC. */
  readonly isLearning: boolean;
  /** By id; where a tenant's packets arrive. */
  readonly tenants: ReadonlyMap<number, TenantArrivals>;
  readonly #encaps: BpfMap;
  readonly #connections: BpfMap | undefined;
  readonly #states: Uint8Array;
  readonly #tenants: Uint16Array;
  readonly #realms: Uint32Array;
  readonly #wraps: Uint8Array;
  readonly #generations: Uint32Array;
  readonly #marks: Uint32Array;
  readonly #rules: BpfMap;

  /** @throws XgwError where nothing is applied, or another version has been */
  constructor(readonly pins: Pins) {
    this.memory = openMemory(pins);
    this.isAttached = attachedNics(pins).length > 0;
    this.isLearning = pins.links().some((name) => name.startsWith("learn_"));
    this.tenants = readTenants(pins);
    this.#encaps = BpfMap.openPinned(pins.map("encaps"));
    this.#connections = pins.hasMap("conntrack") ? BpfMap.openPinned(pins.map("conntrack")) : undefined;
    const places = this.#encaps.maxEntries;
    this.#states = new Uint8Array(places);
    this.#tenants = new Uint16Array(places);
    this.#realms = new Uint32Array(places);
    this.#wraps = new Uint8Array(places);
    this.#readTemplates();
    this.#generations = readWords(pins, "generations", 1, 0);
    this.#rules = BpfMap.openPinned(pins.map("rules"));
    this.#marks = readWords(pins, "rules", 2, lowWord);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  close(): void {
    this.#encaps.close();
    this.#rules.close();
    this.#connections?.close();
  }

  #readTemplates(): void {
    let id = 0;
    const stride = this.#encaps.valueStride;
    for (const { values, count } of this.#encaps.batches())
      for (let n = 0; n < count; n++, id++) {
        const word = (offset: number) => readU32(values, (n * stride + offset) / 4);
        this.#states[id] = word(0);
        this.#realms[id] = word(encapFields.realm);
        this.#tenants[id] = word(encapFields.tenant);
        this.#wraps[id] = values[n * stride + encapFields.wrap] ?? 0;
      }
  }

  /** As it was when this was made. */
  generationOf = (tenant: number): number => this.#generations[tenant] ?? 0;

  tenantOf = (line: number): number => this.memory.half(line, flowOffsets.tenant);

  isReply = (line: number): boolean => (this.memory.byte(line, flowOffsets.flags) & replyFlag) !== 0;

  /** The mark of the connection, which names the rule; 0: none had to admit it, or its tenant has too many rules. */
  markOf = (line: number): number => this.#marks[this.memory.half(line, flowOffsets.rule)] ?? 0;

  /** The same of a copied line; a slot that nobody had is looked at anew, for it may have been taken since. */
  markNow(copy: Buffer): number {
    const slot = readU16(copy, flowOffsets.rule);
    const known = this.#marks[slot] ?? 0;
    if (known !== 0 || slot < ruleRests) return known;
    const value = this.#rules.get(u32(slot));
    const mark = value ? readU32(value, lowWord) : 0;
    this.#marks[slot] = mark;
    return mark;
  }

  /** Why a flow is not followed; undefined: it is. */
  whyUnfollowed(line: number): Unfollowed | undefined {
    if (!this.isAttached) return "detached";
    const tenant = this.tenantOf(line);
    if (this.memory.word(line, flowOffsets.generation) !== this.generationOf(tenant)) return "generation";
    const encap = this.memory.half(line, flowOffsets.encap);
    if (this.#tenants[encap] !== tenant) return "template_gone";
    switch (this.#states[encap]) {
      case templateStates.ready:
        return undefined;
      case templateStates.left:
        return "template_left";
      case templateStates.retired:
        return "template_retired";
      default:
        return "template_gone";
    }
  }

  /** The line of the other direction, or -1. */
  otherOf(line: number): number {
    const { memory } = this;
    const encap = memory.half(line, flowOffsets.encap);
    const other = memory.find({
      saddr: memory.word(line, flowOffsets.daddr),
      daddr: memory.word(line, flowOffsets.saddr),
      ports: turned(memory.word(line, flowOffsets.ports)),
      realm: this.#realms[encap] ?? 0,
      kind: kindOf(memory.byte(line, flowOffsets.protocol), this.#wraps[encap] ?? 0),
    });
    return other >= 0 && memory.half(other, flowOffsets.tenant) === this.tenantOf(line) ? other : -1;
  }

  /**
   * When the learner first saw a connection; undefined where it has not, or has forgotten it.
   *
   * @param tuple the original one, struct xgw_tuple
   * @returns CLOCK_MONOTONIC, ns
   */
  bornOf(tuple: Buffer, zone: number): number | undefined {
    tuple.copy(connectionKey);
    zoneWord[0] = zone;
    const value = this.#connections?.get(connectionKey);
    return value && readCount(value, bornAt);
  }

  /** Read anew. */
  template(id: number): Template {
    const value = this.#encaps.get(u32(id)) ?? Buffer.alloc(this.#encaps.valueSize);
    const word = (offset: number) => readU32(value, offset / 4);
    return {
      id,
      state: word(0),
      ifindex: word(encapFields.ifindex),
      wrap: value[encapFields.wrap] ?? 0,
      tenant: word(encapFields.tenant),
      mtu: readU16(value, encapFields.mtu),
      unseen: value[encapFields.unseen] ?? 0,
      header: Buffer.from(value.subarray(encapHeader, encapHeader + (value[encapFields.length] ?? 0))),
    };
  }
}

/** XGW_WRAP_PLAIN */
export const plainWrap = 2;

/** The line of packets with this tuple of a tenant's, by its tunnel or by the uplink; or -1. */
export function findLine(view: FlowView, tenant: number, protocol: number, tuple: Buffer): number {
  const arrivals = view.tenants.get(tenant);
  if (!arrivals) return -1;
  const tunnelled = view.memory.find(keyOf(tuple, arrivals.key, protocol, arrivals.wrap));
  const line = tunnelled >= 0 ? tunnelled : view.memory.find(keyOf(tuple, 0, protocol, plainWrap));
  return line >= 0 && view.tenantOf(line) === tenant ? line : -1;
}

export interface TenantArrivals {
  readonly key: number;
  readonly zone: number;
  /** Enum xgw_wrap. */
  readonly wrap: number;
}

/** By id; where a tenant's packets arrive. */
export function readTenants(pins: Pins): Map<number, TenantArrivals> {
  using map = BpfMap.openPinned(pins.map("tenants"));
  const tenants = new Map<number, TenantArrivals>();
  for (const [key, value] of map.entries())
    tenants.set(readU32(value, 0), { key: readU32(key, 0), zone: readU32(value, 1), wrap: readU32(value, 5) });
  return tenants;
}

/** Protocol and wrap, as they lie in a key. */
export const kindOf = (protocol: number, wrap: number): number =>
  new Uint16Array(Uint8Array.of(protocol, wrap).buffer)[0] as number;

/** Bytes since the line was learned; lossy, as the packets. */
export const bytesOf = (memory: FlowMemory, line: number): number =>
  memory.half(line, flowOffsets.bytesHigh) * 2 ** 32 + memory.word(line, flowOffsets.bytesLow);

/** The key of a tuple in network byte order. */
export function keyOf(tuple: Buffer, realm: number, protocol: number, wrap: number): KeyWords {
  const [saddr = 0, daddr = 0, ports = 0] = [0, 1, 2].map((word) => readU32(tuple, word));
  return { saddr, daddr, ports, realm, kind: kindOf(protocol, wrap) };
}

/** struct xgw_connection_key, and the zone in it. */
const connectionKey = Buffer.from(new ArrayBuffer(20));
const zoneWord = new Uint32Array(connectionKey.buffer, 16, 1);
/** Offset in struct xgw_connection. */
const bornAt = 16;

function openMemory(pins: Pins): FlowMemory {
  if (!pins.hasMap("flows"))
    throw new XgwError(`there is no flow table of instance ${pins.instance}`, { remedy: "run `xgw apply` first" });
  using flows = BpfMap.openPinned(pins.map("flows"));
  checkShape(flows);
  return new FlowMemory(flows, flowSeed(pins.instance));
}

/** Lines of another version may mean something else. */
function checkShape(flows: BpfMap): void {
  using object = openFile(forgetterFile);
  object.resizeMap("flows", flows.maxEntries);
  const differences = shapeDifferences(shapeOfMap(flows), shapeOfSpec(object, "flows"));
  if (differences.length > 0)
    throw new XgwError(`the flow table is another version's: ${differences.join(", ")}`, {
      remedy: "look with the xgw that made it, or run `xgw apply` with this one, which moves the flows",
    });
}

/** One 32-bit word of each value of an array. */
function readWords(pins: Pins, name: string, wordsOfValue: number, word: number): Uint32Array {
  using map = BpfMap.openPinned(pins.map(name));
  const all = new Uint32Array(map.maxEntries);
  let at = 0;
  for (const { values, count } of map.batches())
    for (let n = 0; n < count; n++) all[at++] = readU32(values, n * wordsOfValue + word);
  return all;
}

/** Of a 64-bit number, which word has its lower half. */
const lowWord = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
