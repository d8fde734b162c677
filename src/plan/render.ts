/** Desired state, rendered into the form in which it is compared. Pure. */

import { type Desired, type DesiredTenant, nobody, type PolicyCell, type TunnelKind } from "../model/desired.js";
import { formatAddress } from "../model/ipv4.js";
import { type Limits, resources } from "../model/shares.js";
import { ownerOf } from "./owner.js";
import { destinationEntries, PolicyPages } from "./policy-maps.js";
import { policyMark, rulesVersion } from "./rules.js";
import { flowtableOf } from "./shares.js";
import {
  type Address,
  type Attachment,
  addressId,
  byId,
  type ConnectionTimeouts,
  type Device,
  type Element,
  type Entry,
  elementId,
  entryId,
  type Family,
  type Hook,
  type Neighbour,
  type NetfilterHook,
  neighbourId,
  type ProgramName,
  type Route,
  routeId,
  type State,
  type TagOffload,
  tagOffloadId,
} from "./state.js";
import { globalSysctls, sysctlsOf } from "./sysctls.js";

/** What the config cannot know. */
export interface RenderContext {
  /** MTU of the underlay device, bytes. */
  readonly underlayMtu: number;
  /** MTU of the uplink device, bytes, when there is one. */
  readonly uplinkMtu?: number;
  /** Devices that tunnelled packets may come in by. */
  readonly underlayDevices: readonly string[];
  /** What comes by another device than its answer would leave by is dropped, unless a device's own setting says otherwise. */
  readonly isReversePathStrict?: boolean;
  readonly timeouts: ConnectionTimeouts;
  /** By which NICs that are bonds take packets. */
  readonly bondMembers?: readonly { readonly name: string; readonly bond: string }[];
  /** NICs that send what XDP sends; all when missing. */
  readonly redirectTargets?: readonly string[];
  /** Features of NICs that hide VLAN tags from XDP, and can be turned off. */
  readonly tagOffloads?: readonly Omit<TagOffload, "isOn">[];
  /** Families of which the kernel has routes. */
  readonly families: readonly Family[];
  /** Of the data path to run. */
  readonly fingerprint: string;
  /** Settings of the whole machine that cannot be set from this network namespace. */
  readonly fixedSysctls?: ReadonlySet<string>;
  /** Whether programs on conntrack's functions count sessions; yes when missing. */
  readonly countsSessions?: boolean;
}

/** Bytes in front of the inner IP packet: outer IP 20, GRE with key 8, and for gretap the inner Ethernet header 14. */
export const tunnelOverhead: Readonly<Record<TunnelKind, number>> = { gretap: 42, gre: 28 };

export function render(desired: Desired, context: RenderContext): State {
  const { tenants } = desired;
  const pages = new PolicyPages();
  const mtuOf = (tenant: DesiredTenant) => context.underlayMtu - tunnelOverhead[tenant.tunnelKind];
  const made = new Map(tenants.flatMap((tenant) => devices(desired, tenant, mtuOf(tenant))));
  return {
    sysctls: new Map(
      [...globalSysctls(desired, context), ...sysctlsOf(made, context.isReversePathStrict)].filter(
        ([name]) => !context.fixedSysctls?.has(name),
      ),
    ),
    tagOffloads: byId(
      (context.tagOffloads ?? []).map(({ device, feature }) => ({ device, feature, isOn: false })),
      tagOffloadId,
    ),
    devices: made,
    addresses: byId(tenants.flatMap(addresses), addressId),
    neighbours: byId(tenants.flatMap(neighbours), neighbourId),
    routes: byId(
      tenants.flatMap((tenant) => routes(desired, tenant, context.families)),
      routeId,
    ),
    ruleOrder: new Map(context.families.map((family) => [family, "tenants first"])),
    rules: rulesVersion,
    flowtableDevices: new Map(tenants.map((tenant) => [tenant.tunnel, flowtableOf(tenant.id)])),
    elements: byId(
      [
        ...sideElements(desired, context),
        ...tenants.flatMap((tenant) => [
          ...boundaryElements(desired, tenant, context),
          ...elements(tenant, mtuOf(tenant)),
        ]),
      ],
      elementId,
    ),
    keepsConnections: new Set(tenants.filter(({ established }) => established === "keep").map(({ id }) => id)),
    datapaths: new Set([context.fingerprint]),
    ifindexes: new Map(),
    unpinnedMaps: new Set(),
    moving: new Map(),
    entries: byId(
      [
        settingsEntry(desired, context),
        ...limitsEntries(nobody, desired.shares),
        ...desired.nics.filter(({ name }) => context.redirectTargets?.includes(name) ?? true).map(nicEntry),
        ...(context.bondMembers ?? []).map(({ name, bond }): Entry => ({ map: "bond_members", device: name, bond })),
        ...tenants.flatMap((tenant) => entries(tenant, mtuOf(tenant), pages, context.uplinkMtu)),
        ...pages.entries(),
      ],
      entryId,
    ),
    unsettled: new Set(),
    attachments: new Map(attachments(desired, context)),
  };
}

function devices(desired: Desired, tenant: DesiredTenant, mtu: number): [string, Device][] {
  const owner = ownerOf(desired.instance, tenant.name);
  return [
    [tenant.vrf, { kind: "vrf", routeTable: tenant.routeTable, owner }],
    [
      tenant.tunnel,
      { kind: tenant.tunnelKind, key: tenant.key, local: desired.underlay.address, vrf: tenant.vrf, mtu, owner },
    ],
  ];
}

function addresses(tenant: DesiredTenant): Address[] {
  return tenant.addresses.map((address) => ({ device: tenant.tunnel, address }));
}

function neighbours(tenant: DesiredTenant): Neighbour[] {
  if (tenant.tunnelKind !== "gre") return [];
  return tenant.peers.map((endpoint) => ({ device: tenant.tunnel, endpoint }));
}

/** As far behind as a route can be: what counts when a device is down or has gone, and the routes over it with it. */
const lastMetric = 0xffff_ffff;

/**
 * No look-up of a tenant's packet goes on to other tables. What comes to a public address and is not translated ends here, too:
 * a route to the rest of the world would send it back to where it came from, and from there here again.
 */
function routes({ uplink }: Desired, tenant: DesiredTenant, families: readonly Family[]): Route[] {
  const { routeTable } = tenant;
  const own = new Set(tenant.addresses.map((address) => address.slice(0, address.indexOf("/"))));
  const named = new Set(tenant.routes.map(({ to }) => to));
  const ends = families.map(
    (family): Route => ({
      routeTable,
      ...(family === "ipv6" ? { family } : {}),
      to: "default",
      metric: lastMetric,
    }),
  );
  const defaults: Route[] = uplink
    ? [{ routeTable, to: "default", uplink: { device: uplink.device, via: uplink.gateway } }]
    : [];
  return [
    ...ends,
    ...defaults,
    ...publicAddresses(tenant)
      .filter((address) => !own.has(address) && !named.has(`${address}/32`))
      .map((address): Route => ({ routeTable, to: `${address}/32` })),
    ...tenant.routes.map(({ to, via }) => ({
      routeTable,
      to: to === "0.0.0.0/0" ? "default" : to,
      tunnel: { device: tenant.tunnel, via, key: tenant.tunnelKind === "gretap" ? tenant.key : null },
    })),
  ];
}

const element = (set: string, key: (string | number)[], value: string | number = ""): Element => ({
  set,
  key: key.join(" . "),
  value: String(value),
});

/** Of both sides, each once. */
const sideDevices = ({ uplink }: Desired, { underlayDevices }: RenderContext): string[] => [
  ...new Set([...underlayDevices, ...(uplink ? [uplink.device] : [])]),
];

/**
 * Of nobody: the underlay's devices, the uplink, both for IPv6, and those of both between which only tenants' packets go, nor back by one of
 * them: what comes for a public address while no program hands it to a tenant would go back to the router that sent it, and
 * from there come again.
 */
function sideElements(desired: Desired, context: RenderContext): Element[] {
  const { uplink, mayForward } = desired;
  const { underlayDevices } = context;
  const uplinks = uplink ? [uplink.device] : [];
  const closed = mayForward ? [] : sideDevices(desired, context);
  return [
    ...underlayDevices.map((device) => element("underlay", [device])),
    ...closed.map((device) => element("sides", [device])),
    ...(context.families.includes("ipv6")
      ? [
          ...closed.map((device) => element("other_sides", [device])),
          ...sideDevices(desired, context).map((device) => element("other_hosts", [device])),
        ]
      : []),
    ...uplinks.map((device) => element("uplink", [device])),
  ];
}

/** Where the tenant's packets may come from, and leave by with which addresses. */
function boundaryElements(
  { underlay, uplink }: Desired,
  tenant: DesiredTenant,
  { underlayDevices }: RenderContext,
): Element[] {
  const { id: zone, key, tunnel, peers } = tenant;
  return [
    element("gre_keys", [underlay.address, key], zone),
    ...underlayDevices.flatMap((device) => peers.map((peer) => element("gre_peers", [device, peer, key], zone))),
    element("own_tunnel", [zone, tunnel]),
    ...(uplink
      ? publicAddresses(tenant).map((address) => element("uplink_sources", [zone, uplink.device, address]))
      : []),
  ];
}

/** IPv4 and TCP headers without options, which is what a segment's size is reckoned with (RFC 9293, section 3.7.1). */
const tcpOverhead = 40;

function elements(tenant: DesiredTenant, mtu: number): Element[] {
  const zone = tenant.id;
  return [
    element("zones", [tenant.tunnel], zone),
    ...tenant.publicIps.flatMap(({ address, to }) => [
      element("dnat_to", [zone, address], to),
      element("snat_to", [zone, to], address),
    ]),
    ...tenant.portForwards.flatMap(({ address, protocol, ports, to, toPort }) => {
      if (ports.from !== ports.to && ports.from === toPort)
        return [element("forward_range", [zone, address, protocol, `${ports.from}-${ports.to}`], to)];
      return Array.from({ length: ports.to - ports.from + 1 }, (_, at) =>
        element("forward_to", [zone, address, protocol, ports.from + at], `${to} . ${toPort + at}`),
      );
    }),
    ...(tenant.snat?.from ?? []).map(({ from, to }) =>
      element("shared_to", [zone, span(formatAddress(from), formatAddress(to))], tenant.snat?.address ?? ""),
    ),
    element("segment", [zone], Math.max(mtu - tcpOverhead, 1)),
    ...tenant.inbound.map((cell) => element("inbound", [zone, ...cellKey(cell)], policyMark("inbound", cell))),
    ...tenant.outbound.map((cell) => element("outbound", [zone, ...cellKey(cell)], policyMark("outbound", cell))),
  ];
}

const span = (from: string | number, to: string | number) => (from === to ? `${from}` : `${from}-${to}`);

function cellKey(cell: PolicyCell): string[] {
  return [
    span(cell.protocol.from, cell.protocol.to),
    span(formatAddress(cell.address.from), formatAddress(cell.address.to)),
    span(cell.port.from, cell.port.to),
  ];
}

function nicEntry(nic: { readonly name: string }): Entry {
  return { map: "nics", device: nic.name };
}

const settingsEntry = ({ pools, rooms, newPool }: Desired, { timeouts }: RenderContext): Entry => ({
  map: "settings",
  value: {
    ...timeouts,
    sessionPool: pools.sessions,
    neighbourPool: pools.neighbours,
    sessionRoom: rooms.sessions,
    neighbourRoom: rooms.neighbours,
    newPool,
  },
});

function limitsEntries(tenant: number, value: Limits): Entry[] {
  return resources.some((resource) => value[resource] > 0) ? [{ map: "limits", tenant, value }] : [];
}

function entries(tenant: DesiredTenant, mtu: number, pages: PolicyPages, uplinkMtu = 0): Entry[] {
  const networks = pages.networksOf(tenant);
  return [
    ...limitsEntries(tenant.id, tenant.limits),
    {
      map: "tenants",
      key: tenant.key,
      value: {
        id: tenant.id,
        zone: tenant.id,
        vrf: tenant.vrf,
        tunnel: tenant.tunnel,
        routeTable: tenant.routeTable,
        kind: tenant.tunnelKind,
        mtu,
        hasPolicy: networks !== undefined,
      },
    },
    { map: "tunnels", device: tenant.tunnel, tenant: tenant.id },
    { map: "tunnels", device: tenant.vrf, tenant: tenant.id, isVrf: true },
    ...tenant.peers.map((address): Entry => ({ map: "peers", tenant: tenant.id, address })),
    ...tenant.routes.map(({ to, via }): Entry => ({ map: "endpoints", tenant: tenant.id, prefix: to, via })),
    ...publicAddresses(tenant).map(
      (address): Entry => ({
        map: "public_ips",
        address,
        tenant: tenant.id,
        device: tenant.tunnel,
        key: tenant.key,
        mtu: uplinkMtu,
      }),
    ),
    ...destinationEntries(tenant),
    ...(networks ?? []),
  ];
}

function publicAddresses(tenant: DesiredTenant): string[] {
  const { publicIps, portForwards, snat } = tenant;
  return [...new Set([...publicIps, ...portForwards, ...(snat ? [snat] : [])].map(({ address }) => address))];
}

function attachments(desired: Desired, context: RenderContext): [string, Attachment][] {
  const { fingerprint } = context;
  const egress = (prefix: string, device: string, program: ProgramName): [string, Attachment] => [
    pinName(prefix, device),
    { device, hook: "tcx-egress", program, fingerprint },
  ];
  const ingress = (prefix: string, device: string, program: ProgramName): [string, Attachment] => [
    pinName(prefix, device),
    { device, hook: "tcx-ingress", program, fingerprint },
  ];
  return [
    ...desired.nics.flatMap((nic): [string, Attachment][] => [
      [pinName("xdp", nic.name), { device: nic.name, hook: "xdp", program: "xgw_xdp", fingerprint, mode: nic.xdp }],
      egress("learn", nic.name, "xgw_learn"),
    ]),
    ...(desired.uplink ? [ingress("uplink", desired.uplink.device, "xgw_uplink")] : []),
    ...desired.tenants.flatMap(({ tunnel, tunnelKind }) => [
      ...(tunnelKind === "gretap" ? [egress("arp", tunnel, "xgw_arp")] : []),
      ingress("enter", tunnel, "xgw_enter"),
    ]),
    ...sideDevices(desired, context).map((device) => ingress("nic_arp", device, "xgw_nic_arp")),
    ...onKernel
      .filter(([, , hook]) => hook !== "function" || context.countsSessions !== false)
      .map(([name, device, hook, program]): [string, Attachment] => [name, { device, hook, program, fingerprint }]),
  ];
}

/** How the attachments of a tunnel are called, before its name. */
const tunnelPrefixes = ["arp", "enter"] as const;

/** Names of the attachments that a tunnel may have. */
export const tunnelPins = (tunnel: string): string[] => tunnelPrefixes.map((prefix) => pinName(prefix, tunnel));

/** Whether an attachment is a tunnel's, of which there may be thousands. */
export const isTunnelPin = (name: string): boolean => tunnelPrefixes.some((prefix) => name.startsWith(`${prefix}_`));

/** What counts, and what refuses by the counts. */
const onKernel: readonly (readonly [name: string, device: string, hook: Hook, program: ProgramName])[] = [
  ["session_born", "conntrack", "function", "xgw_session_born"],
  ["session_died", "conntrack", "function", "xgw_session_died"],
  ["session_refused", "conntrack", "function", "xgw_session_refused"],
  ["neighbour_made", "neighbours", "tracepoint", "xgw_neighbour_made"],
  ["neighbour_seen", "neighbours", "tracepoint", "xgw_neighbour_seen"],
  ["neighbour_asked", "neighbours", "tracepoint", "xgw_neighbour_asked"],
  ["neighbour_gone", "neighbours", "tracepoint", "xgw_neighbour_gone"],
  ["not_redirected", "nics", "tracepoint", "xgw_not_redirected"],
  ["not_taken", "nics", "tracepoint", "xgw_not_taken"],
  ["not_transmitted", "nics", "tracepoint", "xgw_not_transmitted"],
  ["not_transmitted_at_once", "nics", "tracepoint", "xgw_not_transmitted_at_once"],
  ["fragment", "prerouting" satisfies NetfilterHook, "netfilter", "xgw_fragment"],
  ["reassembled", "prerouting" satisfies NetfilterHook, "netfilter", "xgw_reassembled"],
  ["quota_forward", "forward" satisfies NetfilterHook, "netfilter", "xgw_quota"],
  ["quota_local_in", "local_in" satisfies NetfilterHook, "netfilter", "xgw_quota"],
  ["next_hop", "postrouting" satisfies NetfilterHook, "netfilter", "xgw_next_hop"],
];

/** bpffs allows no dots in names, device names do. */
export const pinName = (prefix: string, device: string) => `${prefix}_${device.replaceAll(".", "~")}`;
