/** From words to a frame: what a host would send, and by which NIC it would come in. */

import { type ArrivalSides, endpointOf, nicMac, sidesOf } from "../datapath/arrivals.js";
import { isPublic } from "../datapath/endpoints.js";
import type { FlowView } from "../datapath/flow-view.js";
import { type XdpTrial, xdpLinks } from "../datapath/trial.js";
import { UsageError } from "../errors.js";
import type { Named } from "../flow/list.js";
import { askRoute } from "../kernel/ask.js";
import { type Link, readLinks } from "../kernel/rtnetlink.js";
import { frameOf, type PacketWords } from "./frame.js";

/** A frame, and the device that XDP sees it on. */
export interface Arrival {
  readonly frame: Buffer;
  readonly ifindex: number;
}

export interface Words {
  readonly tenant: Named;
  /** From outside, or from a host of the tenant's. */
  readonly from: "outside" | "tenant";
  readonly packet: PacketWords;
  /** The tunnel endpoint that it comes from; what the tenant's routes say when missing. */
  readonly peer?: string | undefined;
  /** Name of a NIC. */
  readonly device?: string | undefined;
}

/** @throws UsageError when the words leave open where it would arrive */
export async function arrivalOf(view: FlowView, trial: XdpTrial, words: Words): Promise<Arrival> {
  const sides = sidesOf(trial.constants);
  const { source, destination } = words.packet.tuple;
  const peer = words.peer ?? endpointOf(view.pins, words.tenant.id, source);
  const isPlain = words.from === "outside" && words.peer === undefined && isPublic(view.pins, destination);
  if (isPlain && sides.uplink && peer === undefined) return plainArrival(sides.uplink, words.packet, words.device);
  if (peer === undefined)
    throw new UsageError(`no route of ${words.tenant.name}'s says by which tunnel endpoint ${source} sends`, {
      remedy: "name the endpoint with --peer, or the address of a host that there is",
    });
  return tunnelledArrival(view, sides, words, peer);
}

function plainArrival(
  { ifindex, mac, tags }: NonNullable<ArrivalSides["uplink"]>,
  packet: PacketWords,
  device: string | undefined,
): Arrival {
  const nic = device === undefined ? ifindex : linkNamed(device).ifindex;
  return { frame: frameOf({ destinationMac: mac, tags, packet }), ifindex: memberOf(nic) };
}

async function tunnelledArrival(
  { pins, tenants }: FlowView,
  sides: ArrivalSides,
  { tenant, packet, device }: Words,
  peer: string,
): Promise<Arrival> {
  const nic = device === undefined ? await nicTowards(peer, xdpLinks(pins)) : linkNamed(device);
  const arrives = tenants.get(tenant.id);
  const key = tenant.key;
  const innerMac = arrives?.wrap === 0 ? tunnelMac(key) : undefined;
  const outer = { source: peer, destination: sides.underlayAddress, key, innerMac };
  const destinationMac = nicMac(pins, nic.ifindex) ?? nic.mac ?? "00:00:00:00:00:00";
  return {
    frame: frameOf({ destinationMac, tags: sides.underlayTags, outer, packet }),
    ifindex: memberOf(nic.ifindex),
  };
}

/** As src/kernel/slow-path.ts makes it from the key. */
const tunnelMac = (key: number): string => `0267${key.toString(16).padStart(8, "0")}`.replaceAll(/..(?!$)/g, "$&:");

/** @throws UsageError */
export function linkNamed(name: string): Link {
  const link = readLinks().find((one) => one.name === name);
  if (link) return link;
  throw new UsageError(`there is no device ${name}`, { remedy: "name a NIC of the gateway's (xgw link show)" });
}

/** What comes from there is taken to come in by the NIC that the kernel sends there by: of the only one, or the route's. */
async function nicTowards(peer: string, nics: readonly { readonly ifindex: number }[]): Promise<Link> {
  const links = readLinks();
  const [only, ...others] = nics;
  const { device } = others.length === 0 ? { device: undefined } : await askRoute({ destination: peer });
  const link = links.find(({ ifindex, name }) => (others.length === 0 ? ifindex === only?.ifindex : name === device));
  if (link) return nicBelow(link, links);
  throw new UsageError(`nothing says by which NIC ${peer} sends`, { remedy: "name it with --device" });
}

/** Of a VLAN, the NIC that it lies over. */
function nicBelow(link: Link, links: readonly Link[]): Link {
  const below = link.vlan && links.find(({ name }) => name === link.below);
  return below ? nicBelow(below, links) : link;
}

/** A bond's packets come in by its members: one by which it takes some. */
export function memberOf(ifindex: number): number {
  const links = readLinks();
  const link = links.find((one) => one.ifindex === ifindex);
  if (link?.kind !== "bond") return ifindex;
  return links.find(({ master, isBackup }) => master === link.name && !isBackup)?.ifindex ?? ifindex;
}

/** The NIC of a frame that somebody has captured: the only one, or the one whose MAC address it is sent to. */
export function nicOfFrame(view: FlowView, frame: Buffer): number {
  const nics = xdpLinks(view.pins);
  if (nics.length === 1) return memberOf(nics[0]?.ifindex ?? 0);
  const mac = frame.toString("hex", 0, 6).replaceAll(/..(?!$)/g, "$&:");
  const links = readLinks();
  const found = nics.filter(
    ({ ifindex }) =>
      nicMac(view.pins, ifindex) === mac || links.some((link) => link.ifindex === ifindex && link.mac === mac),
  );
  if (found.length === 1) return memberOf(found[0]?.ifindex ?? 0);
  throw new UsageError(`the frame is sent to ${mac}, which does not say by which NIC it comes in`, {
    remedy: "name the NIC with --device",
  });
}
