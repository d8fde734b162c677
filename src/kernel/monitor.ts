/** The kernel's notifications about devices, their settings, addresses, routes, neighbours, rules and nft tables. */

import { Attributes, BpfError, NetlinkListener, NetlinkSocket } from "libbpf-ts";
import type { Prefix } from "../model/ipv4.js";
import { headerSize as genericHeader, genericNetlink, readFamily } from "./generic-netlink.js";
import { neighbourFilter } from "./neighbour-filter.js";
import { netfilter, ofIpv4, ofIpv6 } from "./netfilter.js";
import { type NftElement, nftSubsystem, ofTable, toChangedDevices, toChangedElements } from "./nftables.js";
import {
  linkNames,
  messages,
  type Neighbour,
  readLinks,
  readNeighbours,
  rtnetlink,
  toAddress,
  toLink,
  toNeighbour,
  toRoute,
  toSettingsOf,
} from "./rtnetlink.js";

/** What something has happened to. */
export type KernelEvent =
  | DeviceEvent
  | { readonly of: "address"; readonly device: string }
  | { readonly of: "route"; readonly protocol: number; readonly routeTable: number; readonly to: Prefix }
  | NeighbourEvent
  | { readonly of: "xdp features"; readonly device: string }
  | { readonly of: "routing rule" }
  /** Of a device, or of `all`. */
  | { readonly of: "settings"; readonly device: string }
  | NftEvent;

interface DeviceEvent {
  readonly of: "device";
  readonly name: string;
  /** Told of under both names. */
  readonly isRenamed?: true;
  /** Of a VRF. */
  readonly routeTable?: number;
  /** Those that it is a port of, or was: bonds, VRFs. */
  readonly masters?: readonly string[];
}

interface NftEvent {
  readonly of: "nft";
  /** Kind of thing, such as `chain`. */
  readonly what: string;
  readonly table: string;
  /** Of elements, of a set whose types are known. */
  readonly changed?: { readonly set: string; readonly elements: readonly NftElement[] };
  /** Of a flowtable that is new or has changed: those that have come or gone. None are told of one that has gone. */
  readonly devices?: readonly string[];
}

interface NeighbourEvent extends Neighbour {
  readonly of: "neighbour";
  readonly isGone: boolean;
}

export interface KernelMonitor {
  /** Whether a VRF, of whoever, uses the route table, as far as was told. */
  hasVrfOf(routeTable: number): boolean;
  stop(): void;
}

/** After a gap, when what there is could not be read. */
const retryMs = 1000;
/** After a gap what there is is read again, but not sooner than so many times as long as that took the last time. */
const learnRest = 9;

/**
 * Listens until stopped. Tells at once of the neighbours that there are.
 *
 * @param onGap called when more happened than netlink's buffer takes: some of it was not seen
 * @throws BpfError
 */
export function monitorKernel(onEvent: (event: KernelEvent) => void, onGap: () => void): KernelMonitor {
  const names = new Map<number, string>();
  const vrfs: Vrfs = new Map();
  const masters: Masters = new Map();
  const learn = () => {
    const links = readLinks();
    for (const known of [names, vrfs, masters]) known.clear();
    for (const [ifindex, name] of linkNames(links)) names.set(ifindex, name);
    for (const { ifindex, vrf, master } of links) {
      if (vrf) vrfs.set(ifindex, vrf.routeTable);
      if (master !== undefined) masters.set(ifindex, master);
    }
    for (const neighbour of readNeighbours(names)) onEvent(toNeighbourEvent(neighbour, false));
  };
  let retry: NodeJS.Timeout | undefined;
  let notBeforeMs = 0;
  /** Who provokes gaps without end does not have everything read without end. */
  const learnSoon = () => {
    clearTimeout(retry);
    retry = setTimeout(learnAgain, Math.max(0, notBeforeMs - performance.now()));
  };
  const learnAgain = () => {
    const startedMs = performance.now();
    try {
      learn();
      const nowMs = performance.now();
      notBeforeMs = nowMs + learnRest * (nowMs - startedMs);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      retry = setTimeout(learnAgain, retryMs); // such as EINTR, for devices come and go
    }
  };
  const listeners: NetlinkListener[] = [];
  const stop = () => {
    clearTimeout(retry);
    for (const listener of listeners) listener.close();
  };
  try {
    listeners.push(
      new NetlinkListener({
        protocol: rtnetlink,
        groups: routeGroups,
        filter: neighbourFilter(),
        onMessage: ({ type, body }) => toRouteEvents(type, body, names, vrfs, masters).forEach(onEvent),
        onLost: () => {
          onGap();
          learnSoon();
        },
      }),
    );
    listeners.push(
      new NetlinkListener({
        protocol: netfilter,
        groups: [nftGroup],
        onMessage: ({ type, body }) => toNftEvents(type, body).forEach(onEvent),
        onLost: onGap,
      }),
    );
    const features = listenToFeatures(names, onEvent, onGap);
    if (features) listeners.push(features);
    learn();
  } catch (error) {
    stop();
    throw error;
  }
  return { hasVrfOf: (routeTable) => [...vrfs.values()].includes(routeTable), stop };
}

/** NETDEV_CMD_DEV_CHANGE_NTF, NETDEV_A_DEV_IFINDEX (linux/netdev.h). */
const deviceChanged = 4;
const ofDevice = { ifindex: 1 };

/** What drivers say that they can, which may change. Undefined where the kernel does not tell. */
function listenToFeatures(
  names: ReadonlyMap<number, string>,
  onEvent: (event: KernelEvent) => void,
  onLost: () => void,
): NetlinkListener | undefined {
  using socket = new NetlinkSocket(genericNetlink);
  const group = readFamily(socket, "netdev")?.groups.get("mgmt");
  if (group === undefined) return undefined;
  const onMessage = ({ body }: { readonly body: Buffer }) => {
    const device = names.get(new Attributes(body.subarray(genericHeader)).u32(ofDevice.ifindex) ?? 0);
    if (body[0] === deviceChanged && device !== undefined) onEvent({ of: "xdp features", device });
  };
  return new NetlinkListener({ protocol: genericNetlink, groups: [group], onMessage, onLost });
}

/** Route tables by ifindex. */
type Vrfs = Map<number, number>;
/** Names by the ports' ifindexes. */
type Masters = Map<number, string>;

/** RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_ROUTE, _IPV6_RULE and _IPV4_NETCONF. */
const routeGroups: readonly number[] = [1, 3, 5, 7, 8, 11, 19, 24];
/** NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h). */
const nftGroup = 7;

type Kind = keyof typeof messages;

const kinds = new Map<number, { readonly of: Kind; readonly isGone: boolean }>();
for (const of of Object.keys(messages) as Kind[]) {
  kinds.set(messages[of].added, { of, isGone: false });
  kinds.set(messages[of].gone, { of, isGone: true });
}

/** @param names of devices by ifindex, kept up to date by this, as the VRFs and the masters are */
function toRouteEvents(
  type: number,
  body: Buffer,
  names: Map<number, string>,
  vrfs: Vrfs,
  masters: Masters,
): KernelEvent[] {
  const kind = kinds.get(type);
  if (!kind) return [];
  const { headerSize } = messages[kind.of];
  const header = body.subarray(0, headerSize);
  const attributes = new Attributes(body.subarray(headerSize));
  switch (kind.of) {
    case "link": {
      const link = toLink(header, attributes);
      if (link && kind.isGone) vrfs.delete(link.ifindex);
      else if (link?.vrf) vrfs.set(link.ifindex, link.vrf.routeTable);
      return toDeviceEvents(link, kind.isGone, names, masters);
    }
    case "address": {
      const address = toAddress(header, attributes, names);
      return address ? [{ of: "address", device: address.device }] : [];
    }
    case "route": {
      const route = toRoute(header, attributes, names);
      return route ? [{ of: "route", protocol: route.protocol, routeTable: route.routeTable, to: route.to }] : [];
    }
    case "neighbour": {
      const neighbour = toNeighbour(header, attributes, names);
      return neighbour ? [toNeighbourEvent(neighbour, kind.isGone)] : [];
    }
    case "settings": {
      const device = kind.isGone ? undefined : toSettingsOf(header, attributes, names);
      return device === undefined ? [] : [{ of: "settings", device }];
    }
    case "rule":
      return [{ of: "routing rule" }];
  }
}

function toDeviceEvents(
  link: ReturnType<typeof toLink>,
  isGone: boolean,
  names: Map<number, string>,
  masters: Masters,
): KernelEvent[] {
  if (!link) return [];
  const { ifindex, name, vrf, masterIndex } = link;
  const before = names.get(ifindex) ?? name;
  const [was, is] = [masters.get(ifindex), masterIndex === undefined ? undefined : names.get(masterIndex)];
  if (isGone) names.delete(ifindex);
  else names.set(ifindex, name);
  if (isGone || is === undefined) masters.delete(ifindex);
  else masters.set(ifindex, is);
  const of = [...new Set([was, is])].flatMap((master) => master ?? []);
  if (before === name) return [{ of: "device", name, ...vrf, ...(of.length > 0 ? { masters: of } : {}) }];
  return [before, name].map((each) => ({ of: "device", name: each, isRenamed: true }));
}

function toNeighbourEvent(neighbour: Neighbour, isGone: boolean): NeighbourEvent {
  return { of: "neighbour", ...neighbour, isGone };
}

/** By enum nf_tables_msg_types, what is new or gone. */
const nftThings: Readonly<Record<number, string>> = {
  0: "table",
  2: "table",
  3: "chain",
  5: "chain",
  6: "rule",
  8: "rule",
  9: "set",
  11: "set",
  12: "element",
  14: "element",
  18: "object",
  20: "object",
  22: "flowtable",
  24: "flowtable",
  // By `nft destroy`.
  26: "table",
  27: "chain",
  28: "rule",
  29: "set",
  30: "element",
  31: "object",
  32: "flowtable",
};

function toNftEvents(type: number, body: Buffer): KernelEvent[] {
  const what = type >> 8 === nftSubsystem ? nftThings[type & 0xff] : undefined;
  if (what === undefined || (body[0] !== ofIpv4[0] && body[0] !== ofIpv6[0])) return [];
  const attributes = new Attributes(body.subarray(ofIpv4.length));
  const table = attributes.text(ofTable);
  if (table === undefined) return [];
  return [
    {
      of: "nft",
      what,
      table,
      ...(what === "element" ? { changed: toChangedElements(attributes) } : {}),
      ...(what === "flowtable" ? toChangedDevices(attributes) : {}),
    },
  ];
}
