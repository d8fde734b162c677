/** One sender's many packets: a tenant that takes more of what all share than its share, or an outsider on others' tuples. */

import { tcp, udp } from "../../test/bpf/support/packet.js";
import type { Random } from "../../test/bpf/support/random.js";
import { type Draft, draftAround, frameOf } from "../frames/draft.js";
import { layersOf, tunnelled } from "../frames/layers.js";
import { stream } from "../frames/stream.js";
import type { Living } from "./adversary.js";
import { type Nonce, nonceOf } from "./nonce.js";
import { contentOf, icmpMessage, segment } from "./palette.js";
import { identify, type Sent } from "./sent.js";
import {
  type AttackSite,
  absent,
  allTenants,
  capacities,
  plainWay,
  type Side,
  sideOf,
  type TenantHost,
} from "./site.js";
import { TenantWorld } from "./world.js";

/** Numbers of a flood's packets: behind all others that are an IP id. */
export const firstOfFlood = 61_000;

/**
 * sessions, neighbours: more than a tenant's share. segments: TCP that leads to no connection, to the gateway itself, in frames to all
 * hosts. hairpin: from outside, on connections between hosts of one tenant by its public address.
 */
export type FloodKind = "sessions" | "neighbours" | "segments" | "hairpin";

export interface Flood {
  /** Of the tenant whose host sends; undefined for an outsider. */
  readonly key: number | undefined;
  readonly kind: FloodKind;
  readonly packets: readonly Sent[];
}

/** One seed in so many has one. */
const oneIn = 4;

export const hasFlood = (seed: number): boolean => stream(seed, "flood").integer(1, oneIn) === 1;

/** Packets of a flood that is not measured by a share. */
const many = 256;

export function drawFlood(site: AttackSite, seed: number, living: readonly Living[]): Flood {
  const random = stream(seed, "flood of");
  const { pick, integer } = random;
  const [uplink, hairpins] = [sideOf(site, "uplink"), hairpinsOf(site, living)];
  if (uplink && hairpins.length > 0 && integer(1, 4) === 1)
    return { key: undefined, kind: "hairpin", packets: hairpinFlood(site, uplink, hairpins, seed, random) };
  const keys = (site.config.tenants ?? []).map(({ key }) => key);
  const host = pick(site.hosts.filter(({ key, address }) => keys.includes(key) && address !== "1.1.1.7"));
  const kind = host.kind === "gretap" ? pick(["sessions", "neighbours", "segments"] as const) : "sessions";
  const first = integer(0, 40_000);
  const packets = Array.from({ length: kind === "segments" ? many : moreThanShare(kind) }, (_, at) => {
    const nonce = { seed, number: firstOfFlood + at };
    return kind === "segments" ? segmentOf(host, first + at, nonce) : packetOf(host, kind, first + at, nonce);
  });
  return { key: host.key, kind, packets };
}

/** Half of all is anybody's, and a quarter at most is the share of one of two tenants or more. */
const moreThanShare = (kind: keyof typeof capacities): number => capacities[kind] / 2 + 2 * (capacities[kind] / 4);

/** Connections that hosts of one tenant have with each other by a public address, as they begin. */
function hairpinsOf(site: AttackSite, living: readonly Living[]): Living[] {
  const publics = new Map(allTenants(site).map((tenant) => [tenant.key, new TenantWorld(tenant).publics]));
  return living.filter(({ key, way, tuple }) => way.tunnel !== undefined && publics.get(key)?.has(tuple.dst));
}

function hairpinFlood(
  site: AttackSite,
  uplink: Side,
  hairpins: readonly Living[],
  seed: number,
  { pick, integer }: Random,
): Sent[] {
  return Array.from({ length: many }, (_, at): Sent => {
    const nonce = { seed, number: firstOfFlood + at };
    const { tuple } = pick(hairpins);
    const transport = segment({ nonce: nonceOf(nonce) }, tuple, ["ack"]);
    const way = plainWay(uplink, integer(1, 9));
    const frame = frameOf(draftAround(way, contentOf({ id: nonce.number }, tuple.src, tuple.dst, transport)));
    const story = `flood from the uplink on ${tuple.src}:${tuple.sport} > ${tuple.dst}:${tuple.dport}`;
    return { ...nonce, ...identify(site, way.wire, frame), wire: way.wire, frames: [frame], story, shape: "flood" };
  });
}

/** One after the other on each connection: the last two are none that conntrack believes. */
const segments = [["syn"], ["ack"], ["rst"]] as const;

/** In a frame to all hosts of the network: the gateway takes it, is its destination, and does not answer. */
function segmentOf(host: TenantHost, n: number, nonce: Nonce): Sent {
  const flags = segments[n % segments.length] ?? [];
  const transport = tcp({ sport: 1 + Math.floor(n / segments.length), dport: 80, flags, payload: nonceOf(nonce) });
  const content = contentOf({ id: nonce.number }, host.address, "10.0.0.1", transport);
  const draft = draftAround(host.way, content);
  draft.innerEth.fill(0xff, 0, 6);
  return sentOf(host, draft, nonce, `${flags.join("+")} from ${host.address} of key ${host.key}, to all`);
}

/** Each is a connection of its own: UDP, with options, or an echo request; to one host, or to hosts that are not there. */
function packetOf(host: TenantHost, kind: keyof typeof capacities, n: number, nonce: Nonce): Sent {
  const dst = kind === "sessions" ? "1.1.1.7" : absent.host(n);
  const payload = nonceOf(nonce);
  const port = 1 + (n % 65_535);
  const transport =
    n % 3 === 0 ? icmpMessage(8, 0, port << 16, payload) : udp({ sport: port, dport: 5000 + (n % 7), payload });
  const content = contentOf({ id: nonce.number }, host.address, dst, transport);
  if (n % 3 === 1) {
    content.ip[0] = 0x46;
    content.ip = Buffer.concat([content.ip, Buffer.alloc(4, 1)]); // NOPs
  }
  const story = `flood of ${kind} from ${host.address} of key ${host.key} to ${dst}`;
  return sentOf(host, draftAround(host.way, content), nonce, story);
}

/** What makes the gateway ask for a host of a tenant that does no harm. */
export function questionOf(host: TenantHost, dst: string, nonce: Nonce): Sent {
  const transport = udp({ sport: 5000, dport: 5000, payload: nonceOf(nonce) });
  const content = contentOf({ id: nonce.number }, host.address, dst, transport);
  return sentOf(
    host,
    draftAround(host.way, content),
    nonce,
    `from ${host.address} of key ${host.key} to the next host ${dst}`,
  );
}

function sentOf(host: TenantHost, draft: Draft, nonce: Nonce, story: string): Sent {
  const frame = frameOf(draft);
  const { ip } = layersOf(frame);
  const packet = ip && tunnelled(ip);
  if (!packet) throw new Error("a tenant's host sends in its tunnel");
  return {
    ...nonce,
    from: { kind: "tenant", key: host.key },
    wire: host.way.wire,
    frames: [frame],
    packet,
    story,
    shape: "flood",
  };
}

/** Whether a frame asks for a host in a tenant's tunnel. */
export function asksFor(frame: Buffer, key: number, address: string): boolean {
  const { ip } = layersOf(frame);
  const found = ip && tunnelled(ip);
  return found?.key === key && found.arp?.isReply === false && found.arp.target === address;
}
