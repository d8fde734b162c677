/** One tenant that takes more of what all share than its share: connections, or neighbours. */

import { udp } from "../../test/bpf/support/packet.js";
import { type Content, draftAround, frameOf } from "../frames/draft.js";
import { layersOf, tunnelled } from "../frames/layers.js";
import { stream } from "../frames/stream.js";
import { type Nonce, nonceOf } from "./nonce.js";
import { contentOf, icmpMessage } from "./palette.js";
import type { Sent } from "./sent.js";
import { type AttackSite, absent, capacities, type TenantHost } from "./site.js";

/** Numbers of a flood's packets: behind all others that are an IP id. */
export const firstOfFlood = 61_000;

export interface Flood {
  readonly key: number;
  readonly kind: "sessions" | "neighbours";
  readonly packets: readonly Sent[];
}

/** One seed in so many has one. */
const oneIn = 4;

export const hasFlood = (seed: number): boolean => stream(seed, "flood").integer(1, oneIn) === 1;

export function drawFlood(site: AttackSite, seed: number): Flood {
  const { pick, integer } = stream(seed, "flood of");
  const keys = (site.config.tenants ?? []).map(({ key }) => key);
  const host = pick(site.hosts.filter(({ key, address }) => keys.includes(key) && address !== "1.1.1.7"));
  const kind = host.kind === "gretap" ? pick(["sessions", "neighbours"] as const) : "sessions";
  // Half of all is anybody's, and a quarter at most is the share of one of two tenants or more.
  const count = capacities[kind] / 2 + 2 * (capacities[kind] / 4);
  const first = integer(0, 40_000);
  const packets = Array.from({ length: count }, (_, at) =>
    packetOf(host, kind, first + at, { seed, number: firstOfFlood + at }),
  );
  return { key: host.key, kind, packets };
}

/** Each is a connection of its own: UDP, with options, or an echo request; to one host, or to hosts that are not there. */
function packetOf(host: TenantHost, kind: Flood["kind"], n: number, nonce: Nonce): Sent {
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
  return sentOf(host, content, nonce, `flood of ${kind} from ${host.address} of key ${host.key} to ${dst}`);
}

/** What makes the gateway ask for a host of a tenant that does no harm. */
export function questionOf(host: TenantHost, dst: string, nonce: Nonce): Sent {
  const transport = udp({ sport: 5000, dport: 5000, payload: nonceOf(nonce) });
  const content = contentOf({ id: nonce.number }, host.address, dst, transport);
  return sentOf(host, content, nonce, `from ${host.address} of key ${host.key} to the next host ${dst}`);
}

function sentOf(host: TenantHost, content: Content, nonce: Nonce, story: string): Sent {
  const frame = frameOf(draftAround(host.way, content));
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
