/** A packet that somebody sent, and who that is for the gateway. */

import { type Carried, type Layers, layersOf, tunnelled } from "../frames/layers.js";
import type { Nonce } from "./nonce.js";
import { type AttackSite, type Side, type SideName, underlay } from "./site.js";

/**
 * A tenant's host, which its hypervisor's tunnel vouches for; or somebody on a side. "astray" is who sends frames whose tags
 * belong to no side.
 */
export type Identity =
  | { readonly kind: "tenant"; readonly key: number }
  | { readonly kind: "side"; readonly side: SideName | "astray" };

export interface Sent extends Nonce {
  readonly from: Identity;
  readonly wire: number;
  /** More than one where it is in fragments, or a burst. */
  readonly frames: readonly Buffer[];
  /** What arrives: of a tenant's host what is in the tunnel. */
  readonly packet: Carried;
  /** What it is, and what was done to it. */
  readonly story: string;
  /** For the counts. */
  readonly shape: string;
}

export function nameOf(from: Identity): string {
  return from.kind === "tenant" ? `a host of the tenant with key ${from.key}` : `somebody on the ${from.side} side`;
}

export function sideAt({ sides }: AttackSite, wire: number, tags: Layers["tags"]): Side | undefined {
  // Priorities do not count, nor tags that are nothing else (VLAN 0).
  const text = (of: Layers["tags"]) =>
    of
      .filter(([, tag]) => (tag & 0xfff) !== 0)
      .map(([type, tag]) => `${type} ${tag & 0xfff}`)
      .join();
  return sides.find((side) => side.wire === wire && text(side.tags) === text(tags));
}

/**
 * Sides by which tunnelled packets are taken: the underlay, and where that is no VLAN, other NICs of the config's that are
 * not the uplink.
 */
export function isUnderlay({ sides }: AttackSite, name: SideName): boolean {
  if (name === "underlay") return true;
  return name === "listed" && sides.some((side) => side.name === "underlay" && side.tags.length === 0);
}

/**
 * Who a frame on a wire is from, as far as anybody can tell: whoever has a peer's address on the underlay is that peer.
 */
export function identify(site: AttackSite, wire: number, frame: Buffer): Pick<Sent, "from" | "packet"> {
  const layers = layersOf(frame);
  const side = sideAt(site, wire, layers.tags);
  const { ip } = layers;
  const inner = ip && tunnelled(ip);
  if (side && isUnderlay(site, side.name) && ip?.dst === underlay && inner?.key !== undefined) {
    const isPeer = site.hosts.some(({ key, endpoint }) => key === inner.key && endpoint === ip.src);
    if (isPeer) return { from: { kind: "tenant", key: inner.key }, packet: inner };
  }
  return { from: { kind: "side", side: side?.name ?? "astray" }, packet: layers };
}
