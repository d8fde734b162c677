/** The real programs, loaded as the gateway loads them but with small maps of their own, and what one packet meets. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  BpfObject,
  type BpfProgram,
  type Btf,
  type Codec,
  codecOf,
  inNetNamespace,
  layoutOf,
  RingBuffer,
  type TypedMap,
} from "libbpf-ts";
import { addressBytes, readU32, u32 } from "../../../src/datapath/layout.js";
import { reasonSlots, reasons } from "../../../src/datapath/reasons.js";
import { FlowTable } from "./flows.js";
import type { Connection, ConnectionKey, Counter, Encap, EndpointKey, Event, PeerKey, Tenant } from "./types.js";

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

export interface RunOptions {
  /** Path of the network namespace to run in; the test's own if not given. */
  readonly netns?: string;
  /** Device that the packet comes in by, which must run XDP; the loopback device, 1, if not given. */
  readonly ingressIfindex?: number;
}

export const underlayAddress = "172.168.0.1";
/** Not the kernel's defaults, so that a test can tell the two apart. */
export const tcpTimeoutSeconds = 5000;
export const udpTimeoutSeconds = 300;

/** Buckets of the flow table. */
const flowEntries = 256;
/** Room for tenant ids 0 to 7. */
const statsEntries = 8 * reasonSlots;

export class Datapath implements Disposable {
  readonly #xdp: BpfObject;
  readonly #tc: BpfObject;
  readonly tenants: TypedMap<number, Tenant>;
  readonly peers: TypedMap<PeerKey, number>;
  readonly endpoints: TypedMap<EndpointKey, number>;
  readonly tunnels: TypedMap<number, number>;
  readonly flows: FlowTable;
  readonly encaps: TypedMap<number, Encap>;
  readonly generations: TypedMap<number, number>;
  readonly connections: TypedMap<ConnectionKey, Connection>;
  readonly nics: TypedMap<number, number>;
  readonly #stats: TypedMap<number, Counter[]>;
  readonly #ring: RingBuffer;
  /** The table of templates is large; it is searched only where there may be some. */
  #learned = false;

  constructor() {
    this.#xdp = prepare(objectFile("xdp.bpf.o")).load();
    this.#tc = prepare(objectFile("tc.bpf.o"));
    const shared = this.#xdp.maps.filter((map) => !map.internal).map((map) => map.name);
    for (const { name } of this.#tc.maps) if (shared.includes(name)) this.#tc.reuseMap(name, this.#xdp.map(name));
    this.#tc.load();
    this.tenants = this.#xdp.typedMap("tenants");
    this.peers = this.#xdp.typedMap("peers");
    this.flows = new FlowTable(this.#xdp.map("flows"), this.#xdp.btf as Btf);
    this.encaps = this.#xdp.typedMap("encaps");
    this.generations = this.#xdp.typedMap("generations");
    this.connections = this.#xdp.typedMap("conntrack");
    this.nics = this.#xdp.typedMap("nics");
    this.endpoints = this.#tc.typedMap("endpoints");
    this.tunnels = this.#tc.typedMap("tunnels");
    this.#stats = this.#xdp.typedMap("stats");
    this.#ring = new RingBuffer(this.#xdp.map("events"));
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
  transmit(frame: Buffer, netns: string, ifindex: number): void {
    this.#learned = true;
    inNetNamespace(netns, () => {
      this.learner.testRun({ data: frame, context: skbContext(ifindex) });
    });
  }

  /** A frame through the ARP program, as if it left by that device. */
  directArp(frame: Buffer, netns: string, ifindex: number): { retval: number; data: Buffer } {
    return inNetNamespace(netns, () => this.arpProgram.testRun({ data: frame, context: skbContext(ifindex) }));
  }

  /** Bytes counted for a tenant and reason so far. */
  bytesOf(tenant: number, reason: string): number {
    const slot = tenant * reasonSlots + reasons.findIndex(({ name }) => name === reason);
    return Number((this.#stats.get(slot) ?? []).reduce((sum, { bytes }) => sum + bytes, 0n));
  }

  /** Packets counted for a tenant and reason so far. */
  packetsOf(tenant: number, reason: string): number {
    return this.#counts().get(tenant * reasonSlots + reasons.findIndex(({ name }) => name === reason)) ?? 0;
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

  freeEncaps(ids: readonly number[]): void {
    for (const id of ids) this.encaps.map.set(u32(id), Buffer.alloc(this.encaps.map.valueSize));
  }

  /** Empties what tests write, and templates that were learned; those of a `World` are its own to free. */
  clear(): void {
    if (this.#learned) this.freeEncaps(this.encapsInUse());
    this.#learned = false;
    for (const map of [this.tenants, this.peers, this.connections, this.endpoints, this.tunnels, this.nics])
      for (const key of [...map.keys()]) (map as TypedMap).delete(key);
    this.flows.clear();
    for (const tenant of [1, 2, 3]) this.generations.set(tenant, 0);
    this.events();
  }

  #counts(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const [slot, perCpu] of this.#stats.entries()) {
      const packets = perCpu.reduce((sum, counter) => sum + counter.packets, 0n);
      if (packets > 0n) counts.set(slot, Number(packets));
    }
    return counts;
  }

  [Symbol.dispose](): void {
    this.#ring.close();
    this.#tc.close();
    this.#xdp.close();
  }
}

function prepare(file: string): BpfObject {
  const object = BpfObject.open(file);
  const constants: Record<string, Buffer> = {
    underlay_address: addressBytes(underlayAddress),
    tcp_timeout_ms: u32(tcpTimeoutSeconds * 1000),
    udp_timeout_ms: u32(udpTimeoutSeconds * 1000),
    drop_event_every: u32(1),
    flow_buckets: u32(flowEntries),
  };
  for (const { name } of object.variables) {
    const value = constants[name];
    if (value) object.setVariable(name, value);
  }
  const sizes: Record<string, number> = { flows: flowEntries, conntrack: 8192, stats: statsEntries };
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

/** struct __sk_buff, 48 words, of which ifindex is the 11th. */
function skbContext(ifindex: number): Buffer {
  return u32(...Array.from({ length: 48 }, (_, word) => (word === 10 ? ifindex : 0)));
}

/** The kernel's clock of flow.checked. */
export function jiffies(): number {
  const line = /^jiffies: (\d+)$/m.exec(readFileSync("/proc/timer_list", "utf8"));
  return Number(BigInt(line?.[1] ?? 0) & 0xffff_ffffn);
}
