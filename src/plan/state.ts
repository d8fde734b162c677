/**
 * The form in which desired and observed are compared: flat collections of small records under stable names. Two records
 * are equal when their JSON is, so fields are always written in the same order.
 *
 * Devices are named, never numbered: an ifindex is looked up when a record is written to a map, so that a plan can be
 * made before the device exists.
 */

import { nobody, type TunnelKind, type XdpMode } from "../model/desired.js";
import type { Limits } from "../model/shares.js";
import { sideSets } from "./rules.js";

export type Device =
  | { readonly kind: "vrf"; readonly routeTable: number; readonly owner: string }
  | {
      readonly kind: TunnelKind;
      readonly key: number;
      readonly local: string;
      readonly vrf: string;
      readonly mtu: number;
      readonly owner: string;
    };

export interface Address {
  readonly device: string;
  /** `a.b.c.d/len` */
  readonly address: string;
}

/** IPv6 has nothing but what keeps a tenant's packets in. */
export type Family = "ipv4" | "ipv6";

export interface Route {
  readonly routeTable: number;
  /** IPv4 when missing. */
  readonly family?: "ipv6";
  /** `a.b.c.d/len`, or `default` */
  readonly to: string;
  /** Of a route that counts only where there is no other to the same prefix. */
  readonly metric?: number;
  readonly uplink?: { readonly device: string; readonly via: string };
  /** Neither: the prefix is unreachable, so that a look-up ends in the tenant's own table. */
  readonly tunnel?: {
    readonly device: string;
    readonly via: string;
    /** The key of the lightweight tunnel; null on a gre device, where a neighbour says the endpoint. */
    readonly key: number | null;
  };
}

/**
 * A permanent neighbour on a gre device. Without a remote such a device is a non-broadcast network whose link-layer
 * addresses are tunnel endpoints, and it takes the endpoint from the neighbour, never from a lightweight tunnel.
 */
export interface Neighbour {
  readonly device: string;
  /** Address and link-layer address in one. */
  readonly endpoint: string;
}

/** An element of one of the sets of the nft table, as nft writes it; a set's element has no value. */
export interface Element {
  readonly set: string;
  readonly key: string;
  readonly value: string;
}

/** An entry of a BPF map, before encoding. */
export type Entry =
  /** Tenant 0: the shares of all those that have no number of their own. */
  | { readonly map: "limits"; readonly tenant: number; readonly value: Limits }
  /** Of all tenants. */
  | { readonly map: "settings"; readonly value: Settings }
  | { readonly map: "tenants"; readonly key: number; readonly value: TenantEntry }
  | { readonly map: "peers"; readonly tenant: number; readonly address: string }
  | { readonly map: "endpoints"; readonly tenant: number; readonly prefix: string; readonly via: string }
  /** By the devices that its packets come in by: the tunnel, and the VRF behind it. */
  | { readonly map: "tunnels"; readonly device: string; readonly tenant: number; readonly isVrf?: true }
  | {
      readonly map: "public_ips";
      readonly address: string;
      readonly tenant: number;
      readonly device: string;
      readonly key: number;
      /** Of the uplink; 0 when there is none. */
      readonly mtu: number;
    }
  | { readonly map: "nics"; readonly device: string }
  | { readonly map: "bond_members"; readonly device: string; readonly bond: string }
  | DestinationEntry
  | NetworkEntry
  | ServiceEntry;

/** Fields as in `struct xgw_settings`, and in its order. */
export interface Settings extends ConnectionTimeouts {
  /** Up to how many of all tenants together nobody is refused for being over its share. */
  readonly sessionPool: number;
  readonly neighbourPool: number;
  /** Up to how many of all tenants together each gets what the config gives it. */
  readonly sessionRoom: number;
  readonly neighbourRoom: number;
  /** New connections a second that are anybody's. */
  readonly newPool: number;
}

/** What conntrack's timeouts of established connections are, in milliseconds and in ticks of the kernel's clock. */
export interface ConnectionTimeouts {
  readonly tcpTimeoutMs: number;
  readonly udpTimeoutMs: number;
  readonly tcpTimeoutTicks: number;
  readonly udpTimeoutTicks: number;
}

/** Where DNAT sends what is meant for a public address, or for one service of it. */
export interface DestinationEntry {
  readonly map: "destinations";
  readonly tenant: number;
  readonly address: string;
  readonly protocol: number;
  readonly port: number;
  /** How many of a service's bits count: none for a one-to-one address, all for one port. */
  readonly bits: number;
  readonly to: string;
  /** 0: as it was. */
  readonly toPort: number;
}

/** Which page of services the policy has for a network of the far side. */
export interface NetworkEntry {
  readonly map: "policy_networks";
  readonly tenant: number;
  readonly direction: "inbound" | "outbound";
  readonly prefix: string;
  /** 16 hex digits, from what is in it. */
  readonly page: string;
}

/** A mark on a page, for services that have their first bits in common: 8 bits of protocol, 16 of port. */
export interface ServiceEntry {
  readonly map: "policy_services";
  readonly page: string;
  readonly protocol: number;
  readonly port: number;
  /** Of the 24. */
  readonly bits: number;
  readonly mark: number;
}

export interface TenantEntry {
  readonly id: number;
  readonly zone: number;
  readonly vrf: string;
  readonly tunnel: string;
  readonly routeTable: number;
  readonly kind: TunnelKind;
  readonly mtu: number;
  /** Whether the maps have the policy, too, so that XDP can refuse what it does not admit. */
  readonly hasPolicy: boolean;
}

/** function (where it begins or ends) and tracepoint: on the kernel itself; netfilter: on a hook of it. All three are of no device, but of all tenants. */
export type Hook = "xdp" | "tcx-egress" | "tcx-ingress" | "function" | "tracepoint" | "netfilter";

/** The place of programs on tracepoints that count neighbours. */
export const countedNeighbours = "neighbours";

export const isOnDevice = ({ hook }: { readonly hook: Hook }): boolean =>
  hook === "xdp" || hook === "tcx-egress" || hook === "tcx-ingress";

/** Those that are loaded on every kernel, tests' included. */
export const baseProgramNames = [
  "xgw_xdp",
  "xgw_learn",
  "xgw_arp",
  "xgw_enter",
  "xgw_nic_arp",
  "xgw_uplink",
  "xgw_neighbour_made",
  "xgw_neighbour_seen",
  "xgw_neighbour_asked",
  "xgw_neighbour_gone",
  "xgw_not_redirected",
  "xgw_not_taken",
  "xgw_not_transmitted",
  "xgw_not_transmitted_at_once",
  "xgw_fragment",
  "xgw_reassembled",
  "xgw_quota",
  "xgw_next_hop",
] as const;
/** Of a whole data path. */
export const programNames = [
  "xgw_session_born",
  "xgw_session_died",
  "xgw_session_refused",
  ...baseProgramNames,
] as const;
export type ProgramName = (typeof programNames)[number];

/** Hooks of netfilter that programs are on. */
export type NetfilterHook = "prerouting" | "forward" | "local_in" | "postrouting";

export interface Attachment {
  /** `conntrack`, `neighbours` or `nics` for a function or tracepoint of theirs, the hook's name for netfilter. */
  readonly device: string;
  readonly hook: Hook;
  readonly program: ProgramName;
  /** Of the data path that the program is of. */
  readonly fingerprint: string;
  /** XDP only. */
  readonly mode?: XdpMode;
}

/** Features of a NIC, as `ethtool -k` has them: that it takes 802.1Q and 802.1ad tags off frames that come in. */
export const tagFeatures = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"] as const;
export type TagFeature = (typeof tagFeatures)[number];

export interface TagOffload {
  readonly device: string;
  readonly feature: TagFeature;
  readonly isOn: boolean;
}

export const tagOffloadId = ({ device, feature }: Omit<TagOffload, "isOn">) => `${device} ${feature}`;

/**
 * The order of the routing policy's rules: `tenants first`, the rule that leads packets of a VRF to its table (l3mdev)
 * stands before the one for the gateway's own addresses (table local), so that the latter are not there inside a tenant;
 * `kernel's`, as the kernel makes them.
 */
export type RuleOrder = "tenants first" | "kernel's";

export interface State {
  /** Path below /proc/sys with dots -> value. Only ever set, never taken back: xgw cannot know what else needs it. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** Of NICs with VLANs: XDP is to see the tags. Only ever turned off, never taken back. */
  readonly tagOffloads: ReadonlyMap<string, TagOffload>;
  /** By name. */
  readonly devices: ReadonlyMap<string, Device>;
  /** Of devices that there are, by name. Only observed. */
  readonly ifindexes: ReadonlyMap<string, number>;
  readonly addresses: ReadonlyMap<string, Address>;
  readonly neighbours: ReadonlyMap<string, Neighbour>;
  readonly routes: ReadonlyMap<string, Route>;
  /** By family: whose tables packets of a VRF are looked up in first. */
  readonly ruleOrder: ReadonlyMap<Family, RuleOrder>;
  /** Version of the constant rules; empty when there is no table, `damagedRules` when they are not as xgw wrote them. */
  readonly rules: string;
  /** Name of the flowtable by device. */
  readonly flowtableDevices: ReadonlyMap<string, string>;
  readonly elements: ReadonlyMap<string, Element>;
  /** Tenants whose connections outlive what admitted them. Only desired, never observed. */
  readonly keepsConnections: ReadonlySet<number>;
  /**
   * Fingerprints (of the object files and the constants that they are loaded with) of the data paths whose programs are
   * pinned: one, or two in the middle of an upgrade.
   */
  readonly datapaths: ReadonlySet<string>;
  /** Maps that programs use and that somebody has unpinned. Only observed, never desired. */
  readonly unpinnedMaps: ReadonlySet<string>;
  /** Maps that do not have the shape that the programs want, and why; empty once all is moved. Only observed. */
  readonly moving: ReadonlyMap<string, string>;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Ids of tenants whose last change did not come to its end. */
  readonly unsettled: ReadonlySet<number>;
  /** By the name under which it is pinned. */
  readonly attachments: ReadonlyMap<string, Attachment>;
}

export const addressId = (address: Address) => `${address.device} ${address.address}`;
export const neighbourId = (neighbour: Neighbour) => `${neighbour.device} ${neighbour.endpoint}`;
export const routeId = ({ routeTable, family, to, metric }: Route) =>
  `${routeTable} ${family ? `${family} ` : ""}${to}${metric ? ` metric ${metric}` : ""}`;
/** Keys of elements, by set. */
export type ElementKeys = ReadonlyMap<string, ReadonlySet<string>>;

export const elementId = (element: Element) => `${element.set} ${element.key}`;

export function entryId(entry: Entry): string {
  switch (entry.map) {
    case "limits":
      return `limits ${entry.tenant}`;
    case "settings":
      return entry.map;
    case "tenants":
      return `tenants ${entry.key}`;
    case "peers":
      return `peers ${entry.tenant} ${entry.address}`;
    case "endpoints":
      return `endpoints ${entry.tenant} ${entry.prefix}`;
    case "tunnels":
      return `tunnels ${entry.device}`;
    case "public_ips":
      return `public_ips ${entry.address}`;
    case "nics":
      return `nics ${entry.device}`;
    case "bond_members":
      return `bond_members ${entry.device}`;
    case "destinations":
      return `destinations ${entry.tenant} ${entry.address} ${entry.protocol} ${entry.port}/${entry.bits}`;
    case "policy_networks":
      return `policy_networks ${entry.tenant} ${entry.direction} ${entry.prefix}`;
    case "policy_services":
      return `policy_services ${entry.page} ${entry.protocol} ${entry.port}/${entry.bits}`;
  }
}

/** The entry with other names for the devices that it names. */
export function renamed(entry: Entry, nameOf: (device: string) => string): Entry {
  switch (entry.map) {
    case "tenants": {
      const { vrf, tunnel } = entry.value;
      return { ...entry, value: { ...entry.value, vrf: nameOf(vrf), tunnel: nameOf(tunnel) } };
    }
    case "tunnels":
    case "public_ips":
    case "nics":
      return { ...entry, device: nameOf(entry.device) };
    case "bond_members":
      return { ...entry, device: nameOf(entry.device), bond: nameOf(entry.bond) };
    default:
      return entry;
  }
}

/** How a device is named of which only the ifindex is known. */
export const nameOfIndex = (ifindex: number) => `#${ifindex}`;

/** Ids of the tenants that the programs know. */
export function tenantIds(entries: Iterable<Entry>): number[] {
  return [...entries].flatMap((entry) => (entry.map === "tenants" ? [entry.value.id] : []));
}

/** Maps of which the zone is the value. */
const mapsToZone: readonly string[] = ["zones", "gre_keys", "gre_peers"];

/** The id of the tenant whose an element is: its zone; `nobody` for the sides' devices. */
export function tenantOfElement({ set, key, value }: Element): number {
  if (sideSets.includes(set)) return nobody;
  return Number(mapsToZone.includes(set) ? value : key.split(" ")[0]);
}

/** The records by the name that the function gives them. */
export function byId<T>(records: Iterable<T>, id: (record: T) => string): Map<string, T> {
  return new Map([...records].map((record) => [id(record), record]));
}

/** Digits of a data path's fingerprint that say where packets come in and go out. */
export const sidesDigits = 4;
export const sidesOf = (fingerprint: string) => fingerprint.slice(0, sidesDigits);
