/**
 * Devices, addresses, routes, neighbours and rules as rtnetlink tells of them (linux/rtnetlink.h), all but a few routes and
 * the rules IPv4 only.
 */

import { type Attributes, attribute, BpfError, hostU16, hostU32, type NetlinkRequest, NetlinkSocket } from "libbpf-ts";
import { formatAddress, type Prefix } from "../model/ipv4.js";
import type { Family } from "../plan/state.js";

/** Of each kind of message, the types of the new, the gone and the request for all, and the size of the fixed struct. */
export const messages = {
  link: { added: 16, gone: 17, get: 18, headerSize: 16 },
  address: { added: 20, gone: 21, get: 22, headerSize: 8 },
  route: { added: 24, gone: 25, get: 26, headerSize: 12 },
  neighbour: { added: 28, gone: 29, get: 30, headerSize: 12 },
  rule: { added: 32, gone: 33, get: 34, headerSize: 12 },
  /** Of a device, or of all, the settings below /proc/sys/net/ipv4/conf that the kernel tells of (linux/netconf.h). */
  settings: { added: 80, gone: 81, get: 82, headerSize: 4 },
} as const;

export const rtnetlink = 0;
const addressFamilies = { ipv4: 2, ipv6: 10 } as const;
export const isIpv6 = (header: Buffer) => header.readUInt8(0) === addressFamilies.ipv6;

/** Types of attributes: IFLA_*, IFLA_INFO_*, IFLA_BOND_SLAVE_*, IFLA_VRF_*, IFLA_GRE_*, IFLA_VLAN_*, IFA_*, RTA_*, LWTUNNEL_IP_*, NDA_*. */
const ofLink = {
  mac: 1,
  name: 3,
  mtu: 4,
  below: 5,
  master: 10,
  info: 18,
  alias: 20,
  group: 27,
  mask: 29,
  elsewhere: 37,
};
const ofInfo = { kind: 1, data: 2, portKind: 4, portData: 5 };
const ofBondMember = { state: 1 };
const ofVrf = { table: 1 };
const ofGre = { inputFlags: 2, outputFlags: 3, inputKey: 4, outputKey: 5, local: 6 };
const ofVlan = { id: 1, egressPriorities: 3, type: 5 };
const ofAddress = { local: 2 };
const ofRoute = { to: 1, device: 4, gateway: 5, metric: 6, table: 15, encapType: 21, encap: 22 };
const ofEncap = { id: 1, remote: 2 };
const ofSettings = { ifindex: 1 };
const ofNeighbour = { address: 1, linkAddress: 2, device: 8 };

const inHostOrder = (value: number) => Buffer.from(new Uint32Array([value]).buffer);
const u32 = (type: number, value: number) => attribute(type, inHostOrder(value));
/** RTEXT_FILTER_SKIP_STATS. */
const withoutStatistics = u32(ofLink.mask, 8);
/** GRE_KEY (linux/if_tunnel.h), as it is in the flags. */
const hasKey = 0x2000;
const IFF_UP = 1;
const IFF_LOWER_UP = 0x1_0000;
const LWTUNNEL_ENCAP_IP = 2;
const NUD_PERMANENT = 0x80;
const BOND_STATE_BACKUP = 1;

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly isUp: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** Name of the device that it is a port of, such as a VRF. */
  readonly master?: string | undefined;
  /** Name of the device that it lies over, such as a VLAN's NIC, in this network namespace. */
  readonly below?: string | undefined;
  /** Link-layer address, with colons. */
  readonly mac?: string | undefined;
  readonly alias?: string | undefined;
  /** 0 for the default one. */
  readonly group: number;
  /** Such as `vrf`; undefined for a real NIC. */
  readonly kind?: string | undefined;
  readonly vrf?: { readonly routeTable: number } | undefined;
  /** Of the kinds `gre` and `gretap`. */
  readonly tunnel?: Tunnel | undefined;
  readonly vlan?: Vlan | undefined;
  /** Of one that is up: there is no signal on its wire, or nobody at the other end. */
  readonly lacksCarrier?: true;
  /** Of a bond's member: the bond takes nothing by it at the moment. */
  readonly isBackup?: true;
}

interface Tunnel {
  readonly local: string;
  /** Undefined where packets bear none. */
  readonly inputKey?: number | undefined;
  readonly outputKey?: number | undefined;
}

interface Vlan {
  readonly id: number;
  /** EtherType: 0x8100 for 802.1Q. */
  readonly type: number;
  /** Of packets that leave. */
  readonly mapsPriorities: boolean;
}

export interface InterfaceAddress {
  readonly device: string;
  readonly address: string;
  readonly prefixLength: number;
}

export interface KernelRoute {
  /** IPv4 when missing. */
  readonly family?: "ipv6";
  readonly to: Prefix;
  readonly routeTable: number;
  /** Who made it: RTPROT_*. */
  readonly protocol: number;
  /** RTN_*: 1 for one to a host or network, 7 for unreachable. */
  readonly type: number;
  readonly metric?: number | undefined;
  readonly device?: string | undefined;
  readonly gateway?: string | undefined;
  /** A lightweight tunnel of IP. */
  readonly encap?: { readonly id: number; readonly remote: string } | undefined;
}

export interface Neighbour {
  readonly device: string;
  readonly address: string;
  /** With dots on a tunnel of IP, with colons elsewhere; undefined while nobody knows it. */
  readonly linkAddress?: string | undefined;
  readonly isPermanent: boolean;
}

/** Names of devices by ifindex. */
export type LinkNames = Pick<ReadonlyMap<number, string>, "get">;

/** With the ifindexes that its names stand for. */
type IndexedLink = Link & { readonly masterIndex: number | undefined; readonly belowIndex: number | undefined };

export function readLinks(): Link[] {
  using socket = new NetlinkSocket(rtnetlink);
  const links = readAll(socket, request("link", withoutStatistics), toLink);
  return named(links, linkNames(links));
}

/** Those of these names that there are, with no look at any others: `master` and `below` are told if they are among them. */
export function readLinksOf(wanted: readonly string[]): Link[] {
  using socket = new NetlinkSocket(rtnetlink);
  const links = wanted.flatMap((name) => readLink(socket, name) ?? []);
  return named(links, linkNames(links));
}

function readLink(socket: NetlinkSocket, name: string): IndexedLink | undefined {
  try {
    const asked = request("link", attribute(ofLink.name, Buffer.from(`${name}\0`)), withoutStatistics);
    const { header, attributes } = socket.get(asked, messages.link.headerSize);
    const link = toLink(header, attributes);
    return link?.name === name ? link : undefined; // not one that has it as an alternative name
  } catch (error) {
    if (error instanceof BpfError && error.code === "ENODEV") return undefined;
    throw error;
  }
}

function named(links: readonly IndexedLink[], names: LinkNames): Link[] {
  const nameOfLink = (ifindex: number | undefined) => (ifindex === undefined ? undefined : names.get(ifindex));
  return links.map(({ masterIndex, belowIndex, ...link }) => ({
    ...link,
    master: nameOfLink(masterIndex),
    below: nameOfLink(belowIndex),
  }));
}

export function linkNames(links: readonly Link[]): Map<number, string> {
  return new Map(links.map(({ ifindex, name }) => [ifindex, name]));
}

/** @param ifindex of the device whose they are; of all when it is not given */
export function readAddresses(names: LinkNames, ifindex = 0): InterfaceAddress[] {
  using socket = new NetlinkSocket(rtnetlink, { isStrict: true });
  const asked = request("address");
  asked.body.set(inHostOrder(ifindex), 4);
  return readAll(socket, asked, (header, attributes) => toAddress(header, attributes, names));
}

/**
 * Those that bear a protocol: the others may be as many as the Internet has. Of IPv6 only routes to everywhere.
 *
 * @param routeTable that they are in; all when it is not given
 */
export function readRoutes(names: LinkNames, protocol: number, routeTable?: number): KernelRoute[] {
  return (["ipv4", "ipv6"] as const).flatMap((family) => readRoutesOf(family, names, protocol, routeTable));
}

function readRoutesOf(family: Family, names: LinkNames, protocol: number, routeTable?: number): KernelRoute[] {
  using socket = new NetlinkSocket(rtnetlink, { isStrict: true });
  const asked = requestOf("route", family, ...(routeTable === undefined ? [] : [u32(ofRoute.table, routeTable)]));
  asked.body.writeUInt8(protocol, 5);
  try {
    return readAll(socket, asked, (header, attributes) =>
      header.readUInt8(5) === protocol ? toRoute(header, attributes, names) : undefined,
    );
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    if (routeTable !== undefined && error.code === "ENOENT") return []; // no such table
    if (family === "ipv6" && error.code === "EOPNOTSUPP") return []; // a kernel without IPv6
    throw error;
  }
}

/** @param ifindex of the device whose they are; of all when it is not given */
export function readNeighbours(names: LinkNames, ifindex?: number): Neighbour[] {
  using socket = new NetlinkSocket(rtnetlink, { isStrict: true });
  const asked = request("neighbour", ...(ifindex === undefined ? [] : [u32(ofNeighbour.device, ifindex)]));
  return readAll(socket, asked, (header, attributes) => toNeighbour(header, attributes, names));
}

/** Routing rules, in the order in which the kernel asks them. */
export function readRuleMessages<T>(family: Family, toItem: (header: Buffer, attributes: Attributes) => T): T[] {
  using socket = new NetlinkSocket(rtnetlink);
  return readAll(socket, requestOf("rule", family), toItem);
}

type Kind = keyof typeof messages;

/** With the family in the first byte of the fixed struct, and the rest of it 0. */
function request(kind: Kind, ...attributes: readonly Buffer[]): NetlinkRequest & { kind: Kind } {
  return requestOf(kind, kind === "link" ? undefined : "ipv4", ...attributes);
}

function requestOf(kind: Kind, family: Family | undefined, ...attributes: readonly Buffer[]) {
  const { get, headerSize } = messages[kind];
  const header = Buffer.alloc(headerSize);
  header.writeUInt8(family === undefined ? 0 : addressFamilies[family], 0);
  return { kind, type: get, body: Buffer.concat([header, ...attributes]) };
}

function readAll<T>(
  socket: NetlinkSocket,
  asked: ReturnType<typeof request>,
  toItem: (header: Buffer, attributes: Attributes) => T | undefined,
): T[] {
  return socket.collect(asked, messages[asked.kind].headerSize, toItem);
}

/** `struct ifinfomsg`: at 4 the ifindex, at 8 the flags. */
export function toLink(header: Buffer, attributes: Attributes): IndexedLink | undefined {
  const name = attributes.text(ofLink.name);
  if (name === undefined) return undefined;
  const info = attributes.nested(ofLink.info);
  const kind = info?.text(ofInfo.kind);
  const data = info?.nested(ofInfo.data);
  const flags = hostU32(header, 8);
  const isUp = (flags & IFF_UP) !== 0;
  return {
    ifindex: hostU32(header, 4),
    name,
    isUp,
    mtu: attributes.u32(ofLink.mtu) ?? 0,
    masterIndex: attributes.u32(ofLink.master),
    belowIndex: attributes.bytes(ofLink.elsewhere) === undefined ? attributes.u32(ofLink.below) : undefined,
    mac: withColons(attributes.bytes(ofLink.mac)),
    alias: attributes.text(ofLink.alias),
    group: attributes.u32(ofLink.group) ?? 0,
    kind,
    ...(data && kindsOfLinks[kind ?? ""]?.(data)),
    ...(isUp && (flags & IFF_LOWER_UP) === 0 ? { lacksCarrier: true } : {}),
    ...(info && isBackup(info) ? { isBackup: true } : {}),
  };
}

const kindsOfLinks: Readonly<Record<string, (data: Attributes) => Pick<Link, "vrf" | "tunnel" | "vlan">>> = {
  vrf: (data) => ({ vrf: { routeTable: data.u32(ofVrf.table) ?? 0 } }),
  gre: (data) => ({ tunnel: toTunnel(data) }),
  gretap: (data) => ({ tunnel: toTunnel(data) }),
  vlan: (data) => ({
    vlan: {
      id: data.u16(ofVlan.id) ?? 0,
      type: data.bytes(ofVlan.type)?.readUInt16BE() ?? 0,
      mapsPriorities: (data.bytes(ofVlan.egressPriorities)?.length ?? 0) > 0,
    },
  }),
};

const isBackup = (info: Attributes) =>
  info.text(ofInfo.portKind) === "bond" && info.nested(ofInfo.portData)?.u8(ofBondMember.state) === BOND_STATE_BACKUP;

function toTunnel(data: Attributes): Tunnel {
  const key = (flags: number, key: number) =>
    (data.bytes(flags)?.readUInt16BE() ?? 0) & hasKey ? data.bytes(key)?.readUInt32BE() : undefined;
  return {
    local: address(data.bytes(ofGre.local)) ?? "0.0.0.0",
    inputKey: key(ofGre.inputFlags, ofGre.inputKey),
    outputKey: key(ofGre.outputFlags, ofGre.outputKey),
  };
}

/** `struct ifaddrmsg`: at 1 the length of the prefix, at 4 the ifindex. */
export function toAddress(header: Buffer, attributes: Attributes, names: LinkNames): InterfaceAddress | undefined {
  const local = address(attributes.bytes(ofAddress.local));
  if (local === undefined) return undefined;
  return { device: nameOf(names, hostU32(header, 4)), address: local, prefixLength: header.readUInt8(1) };
}

/**
 * Undefined for one of IPv6 to less than everywhere. `struct rtmsg`: at 1 the length of the prefix, at 4 the table if it is
 * below 256, at 5 the protocol, at 7 the type.
 */
export function toRoute(header: Buffer, attributes: Attributes, names: LinkNames): KernelRoute | undefined {
  const device = attributes.u32(ofRoute.device);
  const isOfIpv6 = isIpv6(header);
  if (isOfIpv6 && header.readUInt8(1) > 0) return undefined;
  return {
    ...(isOfIpv6 ? { family: "ipv6" } : {}),
    to: { address: attributes.bytes(ofRoute.to)?.readUInt32BE() ?? 0, length: header.readUInt8(1) },
    routeTable: attributes.u32(ofRoute.table) ?? header.readUInt8(4),
    protocol: header.readUInt8(5),
    type: header.readUInt8(7),
    metric: attributes.u32(ofRoute.metric),
    device: device === undefined ? undefined : nameOf(names, device),
    gateway: address(attributes.bytes(ofRoute.gateway)),
    encap: attributes.u16(ofRoute.encapType) === LWTUNNEL_ENCAP_IP ? toEncap(attributes) : undefined,
  };
}

function toEncap(attributes: Attributes): KernelRoute["encap"] {
  const encap = attributes.nested(ofRoute.encap);
  const id = encap?.bytes(ofEncap.id)?.readBigUInt64BE() ?? 0n;
  return { id: Number(id), remote: address(encap?.bytes(ofEncap.remote)) ?? "0.0.0.0" };
}

/** `struct ndmsg`: at 0 the family (bridges tell of what they learned by the same messages), at 4 the ifindex, at 8 the state. */
export function toNeighbour(header: Buffer, attributes: Attributes, names: LinkNames): Neighbour | undefined {
  const to = address(attributes.bytes(ofNeighbour.address));
  if (header.readUInt8(0) !== addressFamilies.ipv4 || to === undefined) return undefined;
  const bytes = attributes.bytes(ofNeighbour.linkAddress);
  return {
    device: nameOf(names, hostU32(header, 4)),
    address: to,
    linkAddress: address(bytes) ?? withColons(bytes),
    isPermanent: (hostU16(header, 8) & NUD_PERMANENT) !== 0,
  };
}

/** NETCONFA_IFINDEX_ALL and _DEFAULT: of all devices at once, and of those that are yet to come. */
const ofNoDevice: ReadonlyMap<number, string> = new Map([
  [0xffff_ffff, "all"],
  [0xffff_fffe, "default"],
]);

/** The device whose settings they are, as the folders below /proc/sys/net/ipv4/conf are named. `struct netconfmsg` is the family. */
export function toSettingsOf(header: Buffer, attributes: Attributes, names: LinkNames): string | undefined {
  const ifindex = attributes.u32(ofSettings.ifindex);
  if (header.readUInt8(0) !== addressFamilies.ipv4 || ifindex === undefined) return undefined;
  return ofNoDevice.get(ifindex) ?? nameOf(names, ifindex);
}

/** One that has come since the names were read has none yet. */
const nameOf = (names: LinkNames, ifindex: number) => names.get(ifindex) ?? `#${ifindex}`;

const address = (bytes: Buffer | undefined) => (bytes?.length === 4 ? formatAddress(bytes.readUInt32BE()) : undefined);

const withColons = (bytes: Buffer | undefined) => bytes?.toString("hex").replace(/..(?!$)/g, "$&:");
