/** The real programs, loaded as the gateway loads them but with small maps of their own, and what one packet meets. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  BpfMap,
  BpfObject,
  type BpfProgram,
  type Btf,
  type Codec,
  codecOf,
  inNetNamespace,
  layoutOf,
  possibleCpus,
  RingBuffer,
  type TypedMap,
} from "libbpf-ts";
import type { Constants } from "../../../src/datapath/constants.js";
import { addressBytes, type DeviceNames, encodeEntry, readU32, readU64, u32 } from "../../../src/datapath/layout.js";
import { reasonSlots, reasons } from "../../../src/datapath/reasons.js";
import type { Entry } from "../../../src/plan/state.js";
import { datapathModules } from "./built.js";
import { FlowTable } from "./flows.js";
import { countersOf, type ReasonCounters } from "./reason-counters.js";
import type {
  Connection,
  ConnectionKey,
  Counter,
  Encap,
  EndpointKey,
  Event,
  Limits,
  Losses,
  PeerKey,
  PublicIp,
  RuleCounters,
  Tenant,
} from "./types.js";

export const objectFile = (name: string) => fileURLToPath(new URL(`../../../dist/bpf/${name}`, import.meta.url));

const verdicts = ["aborted", "drop", "pass", "tx", "redirect"] as const;
export type Verdict = (typeof verdicts)[number];

/** What became of a packet. */
export interface Outcome {
  readonly verdict: Verdict;
  readonly frame: Buffer;
  /** `tenant <id>: <reason>` for each packet that was counted; exactly one is right. */
  readonly counted: readonly string[];
  /** The verdict and the count in one line, such as `pass, tenant 1: ttl`. */
  readonly summary: string;
}

/** What the kernel knows of a packet that leaves, beside its bytes. */
export interface Departure {
  /** It came in by the uplink. */
  readonly fromUplink?: boolean;
  /** Of its tenant, when it came in; 0 if not given, "unknown" when it came in by no program. */
  readonly generation?: number | "unknown";
  /** Its outermost VLAN tag is in the skb's metadata, as VLAN devices leave it. */
  readonly heldTag?: boolean;
}

/** TCX_NEXT and TCX_REDIRECT, linux/bpf.h */
const tcxNext = 0xffff_ffff;
const tcRedirect = 7;
const tcxDrop = 2;

export interface RunOptions {
  /** Path of the network namespace to run in; the test's own if not given. */
  readonly netns?: string;
  /** Device that the packet comes in by, which must run XDP; the loopback device, 1, if not given. */
  readonly ingressIfindex?: number;
}

const policyMaps = ["destinations", "policy_networks", "policy_services", "denials"];

export const underlayAddress = "172.168.0.1";
/** Not the kernel's defaults, so that a test can tell the two apart. */
export const tcpTimeoutSeconds = 5000;
export const udpTimeoutSeconds = 300;

/** Which devices are the gateway's NICs, and what lies on them. */
type Sides = Pick<Constants, "underlay" | "uplink" | "hasBonds" | "txIsRedirect">;

/** Buckets of the flow table. */
const flowEntries = 256;
/** Room for tenant ids 0 to 7. */
const tenantIds = 8;
const tiers = ["xdp", "flowtable", "stack"] as const;

/** What has been counted for a rule, without the tiers that carried nothing. */
export type RuleCount = Partial<Record<(typeof tiers)[number], { readonly packets: number; readonly bytes: number }>>;

export class Datapath implements Disposable {
  readonly #xdp: BpfObject;
  readonly #tc: BpfObject;
  /** The learner with what a test run cannot give a packet. */
  readonly #departures: BpfObject;
  readonly tenants: TypedMap<number, Tenant>;
  readonly peers: TypedMap<PeerKey, number>;
  readonly endpoints: TypedMap<EndpointKey, number>;
  readonly publicIps: TypedMap<number, PublicIp>;
  readonly tunnels: TypedMap<number, number>;
  readonly flows: FlowTable;
  readonly encaps: TypedMap<number, Encap>;
  readonly encapsTaken: TypedMap<number, number>;
  readonly generations: TypedMap<number, number>;
  readonly connections: TypedMap<ConnectionKey, Connection>;
  readonly nics: TypedMap<number, number>;
  readonly nicMacs: BpfMap;
  readonly neighbourMacs: BpfMap;
  readonly bondMembers: TypedMap<number, number>;
  readonly rules: TypedMap<number, bigint>;
  readonly sessionEvents: TypedMap<number, bigint>;
  readonly limits: TypedMap<number, Limits>;
  readonly usages: Readonly<Record<"flow" | "encap" | "rule", TypedMap<number, bigint>>>;
  readonly returned: Readonly<Record<"encap" | "rule", BpfMap>>;
  readonly losses: TypedMap<number, Losses>;
  readonly denials: TypedMap<{ tenant: number; mark: number }, Counter[]>;
  readonly #reasonStats: TypedMap<number, ReasonCounters[]>;
  readonly #ruleStats: TypedMap<number, RuleCounters[]>;
  readonly #ring: RingBuffer;
  /** The tables of templates and rules are large; they are searched only where there may be some. */
  #learned = false;
  #rulesLearned = false;
  #slots = new Map(Array.from({ length: tenantIds }, (_, tenant) => [tenant, { tenant, mark: 0 }]));

  /**
   * @param sides constants of uplink, VLANs and bonds; none of them when missing
   * @param wayJiffies how often the kernel is asked for a template's way; never again when missing
   */
  constructor(sides: Sides = {}, wayJiffies = 0x7fff_ffff) {
    this.#xdp = prepare("xdp.bpf.o", sides, wayJiffies).load();
    this.#tc = this.#beside("tc.bpf.o", sides, wayJiffies);
    this.#departures = this.#beside("test-departures.bpf.o", sides, wayJiffies);
    const timeouts = [1000 * tcpTimeoutSeconds, 1000 * udpTimeoutSeconds];
    this.#xdp.map("settings").set(u32(0), u32(...timeouts, ...timeouts, 0, 0, 0xffff_ffff, 0xffff_ffff, 1));
    this.tenants = this.#xdp.typedMap("tenants");
    this.peers = this.#xdp.typedMap("peers");
    this.flows = new FlowTable(this.#xdp.map("flows"), this.#xdp.btf as Btf);
    this.encaps = this.#xdp.typedMap("encaps");
    this.encapsTaken = this.#xdp.typedMap("encaps_taken");
    this.generations = this.#xdp.typedMap("generations");
    this.connections = this.#xdp.typedMap("conntrack");
    this.nics = this.#xdp.typedMap("nics");
    this.nicMacs = this.#xdp.map("nic_macs");
    this.neighbourMacs = this.#xdp.map("neighbour_macs");
    this.bondMembers = this.#xdp.typedMap("bond_members");
    this.endpoints = this.#tc.typedMap("endpoints");
    this.publicIps = this.#xdp.typedMap("public_ips");
    this.tunnels = this.#tc.typedMap("tunnels");
    this.limits = this.#tc.typedMap("limits");
    const usage = (name: string) => this.#tc.typedMap<number, bigint>(`${name}_usage`);
    this.returned = { encap: this.#tc.map("encap_returned"), rule: this.#tc.map("rule_returned") };
    this.losses = this.#tc.typedMap("losses");
    this.usages = { flow: usage("flow"), encap: usage("encap"), rule: usage("rule") };
    this.sessionEvents = this.#xdp.typedMap("session_events");
    this.denials = this.#xdp.typedMap("denials");
    this.#reasonStats = this.#xdp.typedMap("reason_stats");
    this.rules = this.#xdp.typedMap("rules");
    this.#ruleStats = this.#xdp.typedMap("rule_stats");
    this.#ring = this.#listen();
  }

  /** As a monitor does. */
  #listen(): RingBuffer {
    using map = BpfMap.create({ type: "ringbuf", name: "ring", keySize: 0, valueSize: 0, maxEntries: 1 << 20 });
    this.#xdp.map("events").set(u32(0), u32(map.fd));
    this.#xdp.map("listeners").setPerCpu(u32(0), Array<Buffer>(possibleCpus()).fill(u32(1, 0)));
    return new RingBuffer(map);
  }

  /** An object over the same maps. */
  #beside(file: string, sides: Sides, wayJiffies: number): BpfObject {
    const object = prepare(file, sides, wayJiffies);
    const shared = this.#xdp.maps.filter((map) => !map.internal).map((map) => map.name);
    for (const { name } of object.maps) if (shared.includes(name)) object.reuseMap(name, this.#xdp.map(name));
    return object.load();
  }

  /** Writes entries as the gateway does. */
  setEntries(entries: readonly Entry[], names: DeviceNames): void {
    for (const entry of entries) {
      const { key, value } = encodeEntry(entry, names);
      this.#map(entry.map).set(key, value);
    }
  }

  #map(name: Entry["map"]): BpfMap {
    return (name === "tunnels" ? this.#tc : this.#xdp).map(name);
  }

  get learner(): BpfProgram {
    return this.#tc.program("xgw_learn");
  }

  get arpProgram(): BpfProgram {
    return this.#tc.program("xgw_arp");
  }

  get xdpProgram(): BpfProgram {
    return this.#xdp.program("xgw_xdp");
  }

  /** A frame through XDP. */
  receive(frame: Buffer, options: RunOptions = {}): Outcome {
    const before = this.#counts();
    const result = this.runOnly(frame, options);
    const counted = [...this.#counts()].flatMap(([slot, count]) => {
      const packets = count - (before.get(slot) ?? 0);
      const name = reasons[slot % reasonSlots]?.name ?? `reason ${slot % reasonSlots}`;
      return Array<string>(packets).fill(`tenant ${Math.floor(slot / reasonSlots)}: ${name}`);
    });
    return { ...result, counted, summary: [result.verdict, ...counted].join(", ") };
  }

  /** The same without a look at the counters. */
  runOnly(frame: Buffer, { netns, ingressIfindex }: RunOptions = {}): { verdict: Verdict; frame: Buffer } {
    const run = () => {
      const context = ingressIfindex === undefined ? {} : { context: xdpContext(frame.length, ingressIfindex) };
      const { retval, data } = this.xdpProgram.testRun({ data: frame, ...context });
      return { verdict: verdicts[retval] ?? "aborted", frame: data };
    };
    return netns === undefined ? run() : inNetNamespace(netns, run);
  }

  /** A frame through the learner, as if it left by that device. */
  transmit(frame: Buffer, netns: string, ifindex: number, how: Partial<Sent & Departure> = {}): void {
    this.#learned = true;
    this.#rulesLearned = true;
    const { fromUplink = false, heldTag = false, mark = 0, gsoSize = 0, cameInBy = 0, generation = 0 } = how;
    const tcIndex = generation === "unknown" ? 0 : enteredIn(generation, fromUplink);
    const program = heldTag ? "held_departs" : "departs";
    const left = this.#markedRun(program, frame, netns, skbContext(ifindex, { mark, gsoSize, cameInBy, tcIndex }));
    if (left !== 0) throw new Error(`the learner left ${left} in tc_index`);
  }

  /** A frame through the program on a tunnel, as if it came out of it with that tc_index and mark; the tc_index that it has then. */
  comeOut(frame: Buffer, netns: string, ifindex: number, tcIndex = 0, mark = 0): number {
    return this.#markedRun("comes_out_of_tunnel", frame, netns, skbContext(ifindex, { ...nothing, tcIndex, mark }));
  }

  /** A frame through the uplink's program, as if it came in by that device: the tc_index that it has then. */
  comeInMarked(frame: Buffer, netns: string, ifindex: number): number {
    return this.#markedRun("comes_by_uplink", frame, netns, skbContext(ifindex));
  }

  /** The tc_index that a program of the tests' own leaves. */
  #markedRun(name: string, data: Buffer, netns: string, context: Buffer): number {
    return inNetNamespace(netns, () => {
      const { retval, context: after } = this.#departures.program(name).testRun({ data, context });
      if (retval !== tcxNext && retval !== tcRedirect) throw new Error(`${name} returned ${retval}`);
      return after ? readU32(after, 13) : 0; // cb[1]
    });
  }

  /** A frame through the uplink's program, as if it had come in by that device: what tc is to do, and the frame. */
  comeIn(
    frame: Buffer,
    netns: string,
    ifindex: number,
  ): { verdict: "next" | "redirect" | "drop" | number; frame: Buffer } {
    return inNetNamespace(netns, () => {
      const program = this.#tc.program("xgw_uplink");
      const { retval, data } = program.testRun({ data: frame, context: skbContext(ifindex) });
      const verdict = ({ [tcxNext]: "next", [tcRedirect]: "redirect", [tcxDrop]: "drop" } as const)[retval] ?? retval;
      return { verdict, frame: data };
    });
  }

  /** A frame through the ARP program, as if it left by that device. */
  directArp(frame: Buffer, netns: string, ifindex: number): { retval: number; data: Buffer } {
    return inNetNamespace(netns, () => this.arpProgram.testRun({ data: frame, context: skbContext(ifindex) }));
  }

  /** A frame through the program for ARP that comes out of a tunnel, as if it came in by that device. */
  askedByArp(frame: Buffer, netns: string, ifindex: number): "next" | "drop" | number {
    const program = this.#tc.program("xgw_enter");
    const { retval } = inNetNamespace(netns, () => program.testRun({ data: frame, context: skbContext(ifindex) }));
    return retval === tcxNext ? "next" : retval === tcxDrop ? "drop" : retval;
  }

  /** How many neighbours a tenant has on its tunnel, as far as is counted. */
  setNeighbours(tenant: number, count: number): void {
    this.#tc.typedMap<number, bigint>("neighbour_counts").set(tenant, BigInt(count));
  }

  /** Bytes counted for a tenant and reason so far. */
  bytesOf(tenant: number, reason: string): number {
    return this.reasonsOf(tenant).find((counted) => counted.reason === reason)?.bytes ?? 0;
  }

  /** What XDP has counted for a tenant so far, but for what it forwarded. */
  reasonsOf(tenant: number): { readonly reason: string; readonly packets: number; readonly bytes: number }[] {
    const counted = this.#reasonStats.get(tenant);
    return reasons.map(({ name }) => ({ reason: name, ...countersOf(counted, name) }));
  }

  /** Packets counted for a tenant and reason so far. */
  packetsOf(tenant: number, reason: string): number {
    return this.#counts().get(tenant * reasonSlots + reasons.findIndex(({ name }) => name === reason)) ?? 0;
  }

  /** What was forwarded for a tenant so far, by the mark of its rules; rules that have forwarded nothing left out. */
  forwarded(tenant: number): Record<number, RuleCount> {
    const result: Record<number, RuleCount> = {};
    for (const [slot, rule] of this.#ruleSlots()) {
      if (rule.tenant !== tenant) continue;
      const perCpu = this.#ruleStats.get(slot) ?? [];
      const count: RuleCount = {};
      for (const [index, tier] of tiers.entries()) {
        const sum = (field: keyof Counter) =>
          Number(perCpu.reduce((total, counters) => total + (counters.tiers[index]?.[field] ?? 0n), 0n));
        if (sum("packets") > 0) count[tier] = { packets: sum("packets"), bytes: sum("bytes") };
      }
      if (Object.keys(count).length > 0) result[rule.mark] = count;
    }
    return result;
  }

  /** Slots of rules, those of the tenants' ids included. */
  #ruleSlots(): Map<number, { readonly tenant: number; readonly mark: number }> {
    if (this.#rulesLearned)
      for (const { keys, values, count } of this.rules.map.batches())
        for (let n = 0; n < count; n++) {
          const rule = readU64(values, n * 8);
          if (rule !== 0n)
            this.#slots.set(readU32(keys, n), { tenant: Number(rule >> 32n), mark: Number(rule & 0xffff_ffffn) });
        }
    this.#rulesLearned = false;
    return this.#slots;
  }

  /** The events since the last call. */
  events(): Event[] {
    const { btf } = this.#xdp;
    if (!btf) throw new Error("the object has no BTF");
    const codec = codecOf(layoutOf(btf, btf.get("xgw_event", "struct").id)) as Codec<Event>;
    return this.#ring.take(10_000).map((record) => codec.decode(Buffer.from(record)));
  }

  /** Ids of the templates in use. */
  encapsInUse(): number[] {
    const ids: number[] = [];
    for (const { keys, values, count } of this.encaps.map.batches())
      for (let n = 0; n < count; n++)
        if (readU32(values.subarray(n * this.encaps.map.valueStride), 0) !== 0)
          ids.push(readU32(keys.subarray(n * 4), 0));
    return ids;
  }

  /** The MAC address, with colons, that the underlay's frames are sent to on a NIC, and the place that it is kept in (bpf/lib/nic_mac.h). */
  takeFrames(slot: number, mac: string, ifindex = slot): void {
    const word = Buffer.from(`${mac.replaceAll(":", "")}0000`, "hex");
    word.writeUInt16BE(1 + (ifindex >> 12), 6);
    this.nicMacs.set(u32(slot), word);
  }

  /** The MAC address, with colons, that the kernel sends to for a host on a tunnel; none when missing. */
  setNeighbour(tunnelIfindex: number, address: string, mac?: string): void {
    const key = Buffer.concat([u32(tunnelIfindex), addressBytes(address)]);
    if (mac === undefined) this.neighbourMacs.delete(key);
    else this.neighbourMacs.set(key, Buffer.from(`${mac.replaceAll(":", "")}0000`, "hex"));
  }

  /** The kernel has not heard of it for a while. */
  makeStale(ifindex: number, address: string): void {
    this.#xdp.map("stale_neighbours").set(Buffer.concat([u32(ifindex), addressBytes(address)]), u32(1));
  }

  freeEncaps(ids: readonly number[]): void {
    for (const id of ids) {
      this.encaps.map.set(u32(id), Buffer.alloc(this.encaps.map.valueSize));
      this.encapsTaken.set(id, 0);
    }
  }

  /** Empties what tests write, and templates that were learned; those of a `World` are its own to free. */
  clear(): void {
    if (this.#learned) this.freeEncaps(this.encapsInUse());
    this.#learned = false;
    const maps = [this.tenants, this.peers, this.connections, this.endpoints, this.tunnels, this.nics, this.publicIps];
    for (const map of maps) for (const key of [...map.keys()]) (map as TypedMap).delete(key);
    for (const name of policyMaps) {
      const map = this.#xdp.map(name);
      for (const key of [...map.keys()]) map.delete(key);
    }
    this.forgetRefusals();
    for (let tenant = 0; tenant < tenantIds; tenant++) {
      this.limits.set(tenant, {});
      for (const usage of Object.values(this.usages)) usage.set(tenant, 0n);
      this.losses.set(tenant, {});
      for (const map of Object.values(this.returned)) map.set(u32(tenant), Buffer.alloc(8));
      this.#tc.map("event_usage").set(u32(tenant), Buffer.alloc(16));
    }
    this.flows.clear();
    for (const tenant of [1, 2, 3]) this.generations.set(tenant, 0);
    this.events();
  }

  /** As if no tenant had begun a connection for a second. */
  fillBuckets(): void {
    const buckets = this.#xdp.map("buckets");
    for (let tenant = 0; tenant < tenantIds; tenant++) buckets.set(u32(tenant), Buffer.alloc(buckets.valueSize));
  }

  /** As if the tenant had begun all the connections that it may begin now. */
  emptyBucket(tenant: number): void {
    const buckets = this.#xdp.map("buckets");
    const bucket = Buffer.alloc(buckets.valueSize);
    bucket.writeBigUInt64LE(process.hrtime.bigint(), 0); // CLOCK_MONOTONIC, as the programs read it
    buckets.set(u32(tenant), bucket);
  }

  /** As when a change to the tenants has moved the generations on. */
  forgetRefusals(): void {
    const refusals = this.#xdp.map("refusals");
    const none = refusals.unpackPerCpu(Buffer.alloc(refusals.valueStride));
    for (const [key, lines] of [...refusals.entriesPerCpu()])
      if (lines.some((line) => line.some((byte) => byte !== 0))) refusals.setPerCpu(key, none);
  }

  #counts(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const [tenant, perCpu] of this.#reasonStats.entries())
      for (const [at, { name }] of reasons.entries()) {
        const { packets } = countersOf(perCpu, name);
        if (packets > 0) counts.set(tenant * reasonSlots + at, packets);
      }
    // What XDP forwards is counted by rule: summed up for the tenant, it is one reason more.
    for (const [slot, { tenant }] of this.#ruleSlots()) {
      const perCpu = this.#ruleStats.get(slot) ?? [];
      const packets = perCpu.reduce((sum, { tiers: [xdp] }) => sum + Number(xdp?.packets ?? 0n), 0);
      const at = tenant * reasonSlots;
      if (packets > 0) counts.set(at, (counts.get(at) ?? 0) + packets);
    }
    return counts;
  }

  [Symbol.dispose](): void {
    this.#ring.close();
    this.#departures.close();
    this.#tc.close();
    this.#xdp.close();
  }
}

function prepare(file: string, sides: Sides, wayJiffies: number): BpfObject {
  const object = BpfObject.open(objectFile(file));
  const constants: Record<string, Buffer> = {
    ...datapathModules.objects.variablesOf({
      ...sides,
      underlayAddress,
      netnsInode: 0,
      countsSessions: false,
    }),
    liveness_jiffies: u32(livenessJiffies),
    way_jiffies: u32(wayJiffies),
    drops_told: u32(0xffff_ffff),
    drops_told_of_all: u32(0xffff_ffff),
    flow_buckets: u32(flowEntries),
  };
  for (const { name } of object.variables) {
    const value = constants[name];
    if (value) object.setVariable(name, value);
  }
  const sizes: Record<string, number> = { flows: flowEntries, conntrack: 8192, reason_stats: tenantIds };
  for (const { name } of object.maps) {
    const size = sizes[name];
    if (size !== undefined) object.resizeMap(name, size);
  }
  return object;
}

/** struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. */
function xdpContext(length: number, ingressIfindex: number): Buffer {
  return u32(0, length, 0, ingressIfindex, 0, 0);
}

/** The tc_index of a packet that has come in in its tenant's generation (bpf/lib/entrance.h). */
export const enteredIn = (generation: number, fromUplink = false): number =>
  0x8000 | (fromUplink ? 0x4000 : 0) | (generation & 0x3fff);

/** What a packet has besides its bytes when the kernel sends it. */
export interface Sent {
  readonly mark: number;
  /** Payload of each packet that it will be cut into; 0 when it will not be. */
  readonly gsoSize: number;
  /** Index of the device that it came in by; 0, as tunnels leave it, when it is not known. */
  readonly cameInBy?: number;
  readonly tcIndex?: number;
}

const nothing: Sent = { mark: 0, gsoSize: 0 };

/** struct __sk_buff, 48 words; those that say anything are named. */
function skbContext(ifindex: number, { mark, gsoSize, cameInBy = 0, tcIndex = 0 }: Sent = nothing): Buffer {
  const words = new Map([
    [2, mark],
    [9, cameInBy],
    [10, ifindex],
    [12, tcIndex], // cb[0]: a test run takes no tc_index
    [44, gsoSize],
  ]);
  return u32(...Array.from({ length: 48 }, (_, word) => words.get(word) ?? 0));
}

/** How often a flow asks conntrack: liveness_jiffies. */
export const livenessJiffies = 1024;

/** The kernel's clock of flow.checked. */
export function jiffies(): number {
  const line = /^jiffies: (\d+)$/m.exec(readFileSync("/proc/timer_list", "utf8"));
  return Number(BigInt(line?.[1] ?? 0) & 0xffff_ffffn);
}
