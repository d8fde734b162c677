/**
 * What the kernel should look like, computed purely from the config (and from the tenant ids already in use, so that an
 * edit never renumbers a tenant). Everything below this layer reads these types and nothing of the config's syntax.
 *
 * IPv4 addresses are dotted strings, prefixes `a.b.c.d/len` with the host bits kept only for interface addresses.
 */

import type { TableSizes } from "./kernel-tables.js";
import type { Capacities, Limits } from "./shares.js";

/** How a tenant's packets are carried: Ethernet in GRE, or IP in GRE. */
export type TunnelKind = "gretap" | "gre";

/** How XDP is attached to a NIC. There is no silent fallback from one to another. */
export type XdpMode = "native" | "generic" | "offload";

/** A closed range of unsigned integers: protocol numbers, ports or addresses in host byte order. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * One cell of a compiled policy. The cells of one tenant and direction are disjoint, so their order means nothing:
 * "first match wins" was resolved when they were compiled. What no cell covers is denied.
 */
export interface PolicyCell {
  /** IP protocol number. */
  readonly protocol: Range;
  /** The far side's address, as an unsigned 32-bit integer: the source for inbound, the destination for outbound. */
  readonly address: Range;
  /** Destination port after DNAT; the whole range for protocols without ports. */
  readonly port: Range;
  readonly verdict: "allow" | "deny";
  /** Index of the rule in the config's list that this cell comes from. */
  readonly rule: number;
}

export interface DesiredRoute {
  readonly to: string;
  /** The tunnel endpoint on the underlay. */
  readonly via: string;
}

export interface DesiredPublicIp {
  readonly address: string;
  readonly to: string;
}

export interface DesiredPortForward {
  readonly address: string;
  /** IP protocol number, 6 or 17. */
  readonly protocol: number;
  /** Public ports. */
  readonly ports: Range;
  readonly to: string;
  /** Where the first of them leads; the others follow. */
  readonly toPort: number;
}

/** A public address that hosts share for the connections that they begin; the kernel allots the ports. */
export interface DesiredSnat {
  readonly address: string;
  /** Sources that leave under it: disjoint, in order, as unsigned 32-bit integers. Those with a one-to-one address do not. */
  readonly from: readonly Range[];
}

export interface DesiredTenant {
  readonly name: string;
  /** GRE key, 0 to 2^32 - 1. */
  readonly key: number;
  /** Tenant id: 1 to maxTenants - 1. Also its ct zone, and its slot in the per-tenant BPF arrays. */
  readonly id: number;
  /** `routeTableBase + id`. */
  readonly routeTable: number;
  /** Names of the devices that xgw makes for the tenant, from the key: `xvrf<key>` and `xgre<key>`. */
  readonly vrf: string;
  readonly tunnel: string;
  readonly tunnelKind: TunnelKind;
  /** The gateway's own addresses inside the tenant, `a.b.c.d/len` with host bits. */
  readonly addresses: readonly string[];
  readonly routes: readonly DesiredRoute[];
  /** Outer sources from which the tenant's packets may come: every `via`, sorted, once each. */
  readonly peers: readonly string[];
  readonly publicIps: readonly DesiredPublicIp[];
  readonly portForwards: readonly DesiredPortForward[];
  readonly snat: DesiredSnat | undefined;
  readonly inbound: readonly PolicyCell[];
  readonly outbound: readonly PolicyCell[];
  /** What becomes of live connections that a changed policy no longer allows. */
  readonly established: "keep" | "drop";
  /** 0 where the config says nothing: the share of `Desired.shares` counts then. */
  readonly limits: Limits;
}

export interface DesiredNic {
  readonly name: string;
  readonly xdp: XdpMode;
}

/** The public side in plain IP. */
export interface DesiredUplink {
  readonly device: string;
  /** The next hop. */
  readonly gateway: string;
}

export interface Desired {
  readonly instance: string;
  readonly underlay: { readonly device: string; readonly address: string };
  readonly uplink?: DesiredUplink;
  readonly nics: readonly DesiredNic[];
  /** Whether the host forwards between its sides what is no tenant's. */
  readonly mayForward: boolean;
  /** Sorted by id. */
  readonly tenants: readonly DesiredTenant[];
  readonly maxTenants: number;
  /** What all tenants share. */
  readonly capacities: Capacities;
  /** Of tenants whose limits say nothing; 0: no limit. By all tenants, also where only some are looked at. */
  readonly shares: Limits;
  /** New connections a second that are anybody's. */
  readonly newPool: number;
  /** Of the kernel's tables, how much is anybody's. */
  readonly pools: TableSizes;
  /** Up to how many of all tenants' together their own numbers count. */
  readonly rooms: TableSizes;
  /** Entries that all tenants together may have in them at most. */
  readonly promised: TableSizes;
  /** What the kernel's limit of the memory for fragments has to be, bytes. */
  readonly fragmentMemory: number;
}

/** Route table of tenant id 0; a tenant's table is this plus its id. */
export const routeTableBase = 100_000;

/** Ports that one port forward may lead to others: the kernel knows no sum, so each is an element. */
export const maxShiftedPorts = 1024;

/** In place of a tenant's id: packets and slots that are no tenant's. */
export const nobody = 0;

/** Size of the per-tenant BPF arrays: ids run from 1 to this minus 1. */
export const maxTenants = 8192;

/** XGW_ENCAPS: header templates that there is room for. */
export const templatePlaces = 65_536;
/** Of them, beside the half that is shared out, those that are whose comes first. The last quarter stays free. */
export const templatePool = templatePlaces / 4;

/** XGW_RULES less XGW_RULE_RESTS: slots that are not tenants' own. */
export const ruleSlots = 24_576;
/** As of templates. */
export const rulePool = ruleSlots / 4;

/** Events that the ring holds. */
export const eventPlaces = 16_384;
