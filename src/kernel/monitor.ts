/** The kernel's notifications about devices, addresses, routes, neighbours, rules and nft tables, IPv4 only. */

import { Attributes, NetlinkListener } from "libbpf-ts";
import type { Prefix } from "../model/ipv4.js";
import { netfilter, nfgenmsg, nftSubsystem, ofTable } from "./nftables.js";
import {
  linkNames,
  messages,
  type Neighbour,
  readLinks,
  rtnetlink,
  toAddress,
  toLink,
  toNeighbour,
  toRoute,
  toRule,
} from "./rtnetlink.js";

/** What something has happened to. */
export type KernelEvent =
  | { readonly of: "device"; readonly name: string }
  | { readonly of: "address"; readonly device: string }
  | { readonly of: "route"; readonly protocol: number; readonly routeTable: number; readonly to: Prefix }
  | NeighbourEvent
  | { readonly of: "l3mdev rule" }
  | { readonly of: "nft"; readonly what: string; readonly table: string };

export interface NeighbourEvent extends Pick<Neighbour, "device" | "address" | "linkAddress"> {
  readonly of: "neighbour";
  readonly isGone: boolean;
}

export interface KernelMonitor {
  /** Names of devices by ifindex, as of the last notification; those that have gone are still there. */
  readonly names: ReadonlyMap<number, string>;
  stop(): void;
}

/**
 * Listens until stopped.
 *
 * @param onGap called when more happened than netlink's buffer takes: some of it was not seen
 */
export function monitorKernel(onEvent: (event: KernelEvent) => void, onGap: () => void): KernelMonitor {
  const names = new Map<number, string>();
  const learnNames = () => {
    for (const [ifindex, name] of linkNames(readLinks())) names.set(ifindex, name);
  };
  const listen = (
    protocol: number,
    groups: readonly number[],
    toEvent: (type: number, body: Buffer) => KernelEvent | undefined,
  ) =>
    new NetlinkListener({
      protocol,
      groups,
      onMessage: ({ type, body }) => {
        const event = toEvent(type, body);
        if (event) onEvent(event);
      },
      onLost: () => {
        learnNames();
        onGap();
      },
    });
  const listeners = [
    listen(rtnetlink, routeGroups, (type, body) => toRouteEvent(type, body, names)),
    listen(netfilter, [nftGroup], toNftEvent),
  ];
  learnNames();
  return {
    names,
    stop() {
      for (const listener of listeners) listener.close();
    },
  };
}

/** RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE and _IPV4_RULE. */
const routeGroups: readonly number[] = [1, 3, 5, 7, 8];

type Kind = keyof typeof messages;

const kinds = new Map<number, { readonly of: Kind; readonly isGone: boolean }>();
for (const of of Object.keys(messages) as Kind[]) {
  kinds.set(messages[of].added, { of, isGone: false });
  kinds.set(messages[of].gone, { of, isGone: true });
}

/** @param names of devices by ifindex, kept up to date by this */
function toRouteEvent(type: number, body: Buffer, names: Map<number, string>): KernelEvent | undefined {
  const kind = kinds.get(type);
  if (!kind) return undefined;
  const { headerSize } = messages[kind.of];
  const header = body.subarray(0, headerSize);
  const attributes = new Attributes(body.subarray(headerSize));
  const { isGone } = kind;
  switch (kind.of) {
    case "link": {
      const link = toLink(header, attributes);
      if (link && !isGone) names.set(link.ifindex, link.name);
      return link && { of: "device", name: link.name };
    }
    case "address": {
      const address = toAddress(header, attributes, names);
      return address && { of: "address", device: address.device };
    }
    case "route": {
      const { protocol, routeTable, to } = toRoute(header, attributes, names);
      return { of: "route", protocol, routeTable, to };
    }
    case "neighbour": {
      const neighbour = toNeighbour(header, attributes, names);
      if (!neighbour) return undefined;
      const { device, address, linkAddress } = neighbour;
      return { of: "neighbour", device, address, linkAddress, isGone };
    }
    case "rule":
      return toRule(header, attributes) && { of: "l3mdev rule" };
  }
}

/** NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h). */
const nftGroup = 7;
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
};
function toNftEvent(type: number, body: Buffer): KernelEvent | undefined {
  const what = type >> 8 === nftSubsystem ? nftThings[type & 0xff] : undefined;
  if (what === undefined || body[0] !== nfgenmsg[0]) return undefined;
  const table = new Attributes(body.subarray(nfgenmsg.length)).text(ofTable);
  return table === undefined ? undefined : { of: "nft", what, table };
}
