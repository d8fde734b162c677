/**
 * The world of the tests: two tenants with the same addresses, and their connections as the kernel would have decided
 * them. A connection knows each of its packets twice, as it arrives and as it has to leave, both made by the builder.
 */

import type { Datapath } from "./datapath.js";
import { jiffies, underlayAddress } from "./datapath.js";
import * as packet from "./packet.js";
import { addressNumber, type ConnectionKey, type Encap, type Flow, type FlowKey, type Tuple } from "./types.js";

export type Wrap = "gretap" | "gre";
const wraps: readonly Wrap[] = ["gretap", "gre"];
export const wrapNumber = (wrap: Wrap) => wraps.indexOf(wrap);

export interface TestTenant {
  readonly id: number;
  readonly key: number;
  readonly zone: number;
  readonly wrap: Wrap;
  readonly mtu: number;
  readonly peers: readonly string[];
}

export const clientEndpoint = "172.168.0.7";
export const stranger = "172.168.0.66";

export const user1: TestTenant = {
  id: 1,
  key: 1000,
  zone: 11,
  wrap: "gretap",
  mtu: 1458,
  peers: [clientEndpoint, "172.168.0.11"],
};

export const user2: TestTenant = {
  id: 2,
  key: 2000,
  zone: 12,
  wrap: "gre",
  mtu: 1472,
  peers: [clientEndpoint, "172.168.0.12"],
};

export const macs = {
  gateway: "02:00:00:00:00:01",
  client: "02:00:00:00:00:07",
  server: "02:00:00:00:00:0b",
  /** Inside a gretap tunnel; the gateway's is user1's, see `tunnelMac`. */
  innerGateway: "02:67:00:00:03:e8",
  innerClient: "0a:00:00:00:00:07",
  innerServer: "0a:00:00:00:00:0b",
} as const;

/** Of the gateway's end of a gretap tunnel, as xgw makes it from the key. */
export const tunnelMac = ({ key }: { readonly key: number }) =>
  `02:67:${key
    .toString(16)
    .padStart(8, "0")
    .replaceAll(/..(?!$)/g, "$&:")}`;

/** One end of a connection as somebody sees it. */
export interface End {
  readonly address: string;
  readonly port: number;
}

/** A packet of a connection, apart from its addresses. What is not given is as the builder has it. */
export interface Segment {
  readonly payload?: Uint8Array | string;
  readonly tcpFlags?: readonly packet.TcpFlag[];
  readonly tcpOptions?: Uint8Array;
  readonly seq?: number;
  readonly ack?: number;
  readonly udpChecksum?: boolean;
  readonly tos?: number;
  readonly ttl?: number;
  readonly id?: number;
  readonly df?: boolean;
  readonly more?: boolean;
  readonly offset?: number;
  readonly options?: Uint8Array;
}

/** The outer headers of a packet that arrives. */
export interface Outer {
  readonly src?: string;
  readonly dst?: string;
  readonly tos?: number;
  readonly ttl?: number;
  readonly id?: number;
  readonly df?: boolean;
  readonly more?: boolean;
  readonly offset?: number;
  readonly options?: Uint8Array;
  readonly key?: number;
  readonly gre?: Partial<packet.GreFields>;
  readonly wrap?: Wrap;
  readonly dstMac?: string;
  readonly tags?: readonly number[];
}

/** VLAN tags of the frames of both sides. */
export interface Tags {
  readonly underlay: readonly number[];
  readonly uplink: readonly number[];
}

const untagged: Tags = { underlay: [], uplink: [] };

/** How a direction's packets come or go; plain ones by the uplink. */
export interface Way {
  readonly tenant: TestTenant;
  readonly endpoint: string;
  readonly plain?: boolean;
}

export interface DirectionFields {
  readonly protocol: "tcp" | "udp";
  readonly arrivesAs: readonly [End, End];
  readonly leavesAs: readonly [End, End];
  readonly arrivesBy: Way;
  readonly leavesBy: Way;
  readonly reply: boolean;
  readonly tags?: Tags;
}

export interface EstablishOptions {
  readonly tenant?: TestTenant;
  readonly protocol?: "tcp" | "udp";
  readonly client?: End;
  readonly publicEnd?: End;
  readonly server?: End;
  /** Tenant on whose side the server is; the same if not given. */
  readonly serverSide?: TestTenant;
  /** Where the packets leave; the device that they came in by if not given. */
  readonly ifindex?: number;
  /** The client is reached by the uplink. */
  readonly plain?: boolean;
  readonly tags?: Tags;
}

export const uplinkMtu = 1500;

/** The loopback device: where a test run's packets come in when nothing else is said. */
export const testRunIfindex = 1;

/** One direction: its packets as they arrive and as they have to leave, and the entries that lead from one to the other. */
export class Direction {
  constructor(readonly fields: DirectionFields) {}

  get key(): FlowKey {
    const { protocol, arrivesAs, arrivesBy } = this.fields;
    return {
      ...tupleOf(protocol, arrivesAs),
      ...realmOf(arrivesBy),
    };
  }

  arrives(segment: Segment = {}, outer: Outer = {}): Buffer {
    const { arrivesBy, tags = untagged } = this.fields;
    const { tenant, endpoint, plain = false } = arrivesBy;
    const wrap = outer.wrap ?? tenant.wrap;
    const side = outer.tags ?? (plain ? tags.uplink : tags.underlay);
    const eth = { src: macs.client, dst: outer.dstMac ?? macs.gateway, tags: side };
    const innerEth = { src: macs.innerClient, dst: tunnelMac({ key: outer.key ?? tenant.key }) };
    const inner = this.inner(this.fields.arrivesAs, segment);
    if (plain) return packet.ethernet(eth, inner);
    const { key = tenant.key, gre = {}, src = endpoint, dst = underlayAddress, ...rest } = outer;
    const { wrap: _, dstMac: __, tags: ___, ...ip } = rest;
    const ipFields = { id: 4711, ...ip, src, dst };
    return packet.ethernet(eth, packet.ipv4(ipFields, wrapped(wrap, { key, ...gre }, innerEth, inner)));
  }

  /** TTL 1 less, addresses and ports changed, the kernel's headers in front: outer id 0, DF, TTL 64, ECN from inside. */
  leaves(segment: Segment = {}): Buffer {
    const { leavesBy, tags = untagged } = this.fields;
    const { tenant, endpoint, plain = false } = leavesBy;
    const inner = this.inner(this.fields.leavesAs, { ...segment, ttl: (segment.ttl ?? 64) - 1 });
    const ecn = (segment.tos ?? 0) & 3;
    const outerEcn = ecn === 3 ? 2 : ecn;
    const ip = { src: underlayAddress, dst: endpoint, tos: outerEcn, id: 0, ttl: 64 };
    const eth = { src: macs.gateway, dst: macs.server, tags: plain ? tags.uplink : tags.underlay };
    const innerEth = { src: tunnelMac(tenant), dst: macs.innerServer };
    if (plain) return packet.ethernet(eth, inner);
    return packet.ethernet(eth, packet.ipv4(ip, wrapped(tenant.wrap, { key: tenant.key }, innerEth, inner)));
  }

  private inner([from, to]: readonly [End, End], segment: Segment): Buffer {
    const { payload = "some data", tcpFlags, tcpOptions, seq, ack, udpChecksum, ...ip } = segment;
    const ports = { sport: from.port, dport: to.port, payload };
    const transport =
      this.fields.protocol === "tcp"
        ? packet.tcp({
            ...ports,
            ...(tcpFlags ? { flags: tcpFlags } : {}),
            ...(tcpOptions ? { options: tcpOptions } : {}),
            ...(seq === undefined ? {} : { seq }),
            ...(ack === undefined ? {} : { ack }),
          })
        : packet.udp({ ...ports, checksum: udpChecksum ?? true });
    return packet.ipv4({ id: 99, ...ip, src: from.address, dst: to.address }, transport);
  }

  /** The flow entry for a template, as the learner would write it. */
  flow(encap: number, changes: Partial<Flow> = {}): Flow {
    const [from, to] = this.fields.arrivesAs;
    const [newFrom, newTo] = this.fields.leavesAs;
    const addresses = [...negated(from.address, to.address), ...words(newFrom.address), ...words(newTo.address)];
    const { protocol: _, ...leaves } = tupleOf(this.fields.protocol, this.fields.leavesAs);
    return {
      ...leaves,
      ip_delta: inMemory(sum([...addresses, negate(0x0100)])),
      encap,
      generation: 0,
      peer: this.fields.arrivesBy.plain ? 0 : addressNumber(this.fields.arrivesBy.endpoint),
      tenant: this.fields.arrivesBy.tenant.id,
      checked: jiffies(),
      flags: this.fields.reply ? 1 : 0,
      rule: this.fields.arrivesBy.tenant.id, // the slot of what no rule had to admit
      packets: 0,
      bytes: 0n,
      ...changes,
    };
  }

  /** The header template of this direction, taken from a packet that leaves. */
  encap(ifindex: number): Encap {
    const { leavesBy, tags = untagged } = this.fields;
    const { tenant, plain = false } = leavesBy;
    const owner = this.fields.arrivesBy.tenant.id;
    const header = Buffer.alloc(64);
    if (plain) {
      const length = 14 + 4 * tags.uplink.length;
      this.leaves().copy(header, 0, 0, length);
      return { state: 2, ifindex, ...realmOf(leavesBy), length, mtu: uplinkMtu, ip_sum: 0, tenant: owner, header };
    }
    const ip = 14 + 4 * tags.underlay.length;
    const length = ip + (tenant.wrap === "gretap" ? 42 : 28);
    this.leaves().copy(header, 0, 0, length);
    header.writeUInt16BE(0, ip + 2); // total length
    header.writeUInt16BE(0, ip + 10); // checksum
    const ipWords = Array.from({ length: 10 }, (_, n) => header.readUInt16BE(ip + 2 * n));
    return {
      state: 2,
      ifindex,
      ...realmOf(leavesBy),
      length,
      mtu: tenant.mtu,
      ip_sum: inMemory(sum(ipWords)),
      tenant: owner,
      header,
    };
  }
}

export interface TestConnection {
  readonly original: Direction;
  readonly reply: Direction;
  readonly record: ConnectionKey;
}

/** Fills the maps; slots of templates are given out one by one. */
export class World {
  #encaps = 0;

  constructor(readonly datapath: Datapath) {}

  /** Back to two tenants and no connection. */
  reset(): void {
    const { datapath } = this;
    datapath.freeEncaps(Array.from({ length: this.#encaps }, (_, id) => id));
    this.#encaps = 0;
    datapath.clear();
    datapath.takeFrames(testRunIfindex, macs.gateway);
    for (const tenant of [user1, user2]) this.addTenant(tenant);
  }

  addTenant({ id, key, zone, wrap, mtu, peers }: TestTenant): void {
    this.datapath.tenants.set(key, { id, zone, wrap: wrapNumber(wrap), mtu });
    for (const peer of peers) this.datapath.peers.set({ tenant: id, address: addressNumber(peer) }, 1);
    const [outside, inside = outside] = peers;
    this.addRoute(id, "0.0.0.0", 0, outside);
    this.addRoute(id, "10.0.0.0", 8, inside);
    this.datapath.forgetRefusals();
  }

  /** Where a network of the tenant's lives on the underlay. */
  addRoute(tenant: number, network: string, length: number, endpoint: string | undefined): void {
    const key = { prefixlen: 32 + length, tenant, address: addressNumber(network) };
    if (endpoint !== undefined) this.datapath.endpoints.set(key, addressNumber(endpoint));
  }

  removeTenant({ id, key, peers }: TestTenant): void {
    this.datapath.tenants.delete(key);
    for (const peer of peers) this.datapath.peers.delete({ tenant: id, address: addressNumber(peer) });
  }

  /** A connection from the client to a public address, which NAT gives to the tenant's server; both flows learned. */
  establish(options: EstablishOptions = {}): TestConnection {
    const connection = connectionOf(options);
    if (options.plain) this.publish(connection);
    const { ifindex = testRunIfindex } = options;
    for (const direction of [connection.original, connection.reply]) this.follow(direction, direction.encap(ifindex));
    const { original, reply } = connection;
    this.datapath.connections.set(connection.record, {
      reply: tupleOf(reply.fields.protocol, reply.fields.arrivesAs),
      born: 1n,
      tenant: original.fields.arrivesBy.tenant.id,
      rule: 1,
      translation: 0x20,
      ...arrivalsOf(connection),
    });
    return connection;
  }

  /** Makes the connection's public address reachable by the uplink. */
  publish({ original: { fields } }: TestConnection, tunnelIfindex = 42): void {
    const { id, key } = fields.arrivesBy.tenant;
    const address = addressNumber(fields.arrivesAs[1].address);
    this.datapath.publicIps.set(address, { tenant: id, tunnel_ifindex: tunnelIfindex, key, mtu: uplinkMtu });
  }

  /** Writes the flow of one direction, with a template of its own. */
  follow(direction: Direction, encap: Encap, changes: Partial<Flow> = {}): void {
    const id = this.#encaps++;
    // As if its way had just been asked for: the routes of the machine that runs the tests do not matter.
    this.datapath.encaps.set(id, { asked: jiffies(), ...encap });
    this.datapath.flows.set(direction.key, direction.flow(id, changes));
  }

  /** Writes the flow of a direction anew, changed. */
  change(direction: Direction, changes: Partial<Flow>): void {
    const flow = this.datapath.flows.get(direction.key);
    if (!flow) throw new Error("the test's flow is not there to be changed");
    this.datapath.flows.set(direction.key, { ...flow, ...changes });
  }

  isFollowed(direction: Direction): boolean {
    return this.datapath.flows.has(direction.key);
  }
}

/** Where the packets of each direction arrive, as the connection's record has it. */
export function arrivalsOf({ original, reply }: TestConnection) {
  const { realm: original_realm, wrap: original_wrap } = original.key;
  const { realm: reply_realm, wrap: reply_wrap } = reply.key;
  return { original_realm, reply_realm, original_wrap, reply_wrap };
}

/** A connection's packets, with nothing written to any map. */
export function connectionOf({
  tenant = user1,
  protocol = "tcp",
  client = { address: "1.1.1.7", port: 40000 },
  plain = false,
  tags = untagged,
  publicEnd = { address: plain ? publicAddressOf(tenant) : "2.2.2.11", port: 22 },
  server = { address: "10.0.0.7", port: 2222 },
  serverSide = tenant,
}: EstablishOptions): TestConnection {
  const clientSide = { tenant, endpoint: clientEndpoint, plain };
  const serverBy = { tenant: serverSide, endpoint: serverSide.peers[1] ?? clientEndpoint };
  const original = new Direction({
    protocol,
    arrivesAs: [client, publicEnd],
    leavesAs: [client, server],
    arrivesBy: clientSide,
    leavesBy: serverBy,
    reply: false,
    tags,
  });
  const reply = new Direction({
    protocol,
    arrivesAs: [server, client],
    leavesAs: [publicEnd, client],
    arrivesBy: serverBy,
    leavesBy: clientSide,
    reply: true,
    tags,
  });
  return { original, reply, record: { original: tupleOf(protocol, [client, publicEnd]), zone: tenant.zone } };
}

/** On the uplink a public address is one tenant's. */
export const publicAddressOf = ({ id }: TestTenant) => `2.2.2.${10 + id}`;

const plainWrap = 2;

/** What, beside its tuple, a packet is known by that comes or goes this way. */
function realmOf({ tenant, plain = false }: Way): { realm: number; wrap: number } {
  return plain ? { realm: 0, wrap: plainWrap } : { realm: tenant.key, wrap: wrapNumber(tenant.wrap) };
}

export function tupleOf(protocol: "tcp" | "udp", [from, to]: readonly [End, End]): Tuple {
  return {
    saddr: addressNumber(from.address),
    daddr: addressNumber(to.address),
    sport: from.port,
    dport: to.port,
    protocol: packet.ipProtocol[protocol],
  };
}

/** The inner packet in GRE, bridged or routed. */
export function wrapped(
  wrap: Wrap,
  gre: Partial<packet.GreFields>,
  eth: packet.EthernetFields,
  inner: Buffer,
): packet.Transport {
  const payload = wrap === "gretap" ? packet.ethernet(eth, inner) : inner;
  return packet.gre({ type: wrap === "gretap" ? packet.etherType.bridged : packet.etherType.ipv4, ...gre }, payload);
}

const negate = (word: number) => ~word & 0xffff;

function words(address: string): number[] {
  const bytes = packet.ipBytes(address);
  return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
}

const negated = (...addresses: string[]) => addresses.flatMap(words).map(negate);

/** One's complement sum. */
function sum(values: readonly number[]): number {
  return ~packet.checksum(Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]))) & 0xffff;
}

/** A sum of network-order words as the programs hold it, who sum words as they lie in memory. */
function inMemory(value: number): number {
  const bytes = Buffer.from([value >> 8, value & 0xff]);
  return new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] ?? 0;
}
