/** Which connections conntrack has outside of all tenants' zones: none of them may be a tenant's. */

import { readConnections } from "../../src/kernel/conntrack.js";
import { type Ipv4, layersOf, protocols, tunnelled } from "../frames/layers.js";
import { textOf } from "./connections.js";
import type { Sent } from "./sent.js";
import type { Tuple } from "./world.js";

const nobodysZone = 0;

export class Tracked {
  private readonly byTenants = new Set<string>();
  private readonly bySides = new Set<string>();

  hasArrived({ from, frames }: Sent): void {
    for (const { ip } of frames.map(layersOf)) {
      const inner = ip && tunnelled(ip)?.ip;
      if (inner) (from.kind === "tenant" ? this.byTenants : this.bySides).add(textOf(tupleOf(inner)));
      if (ip && from.kind === "side") this.bySides.add(textOf(tupleOf(ip)));
    }
  }

  /** What a tenant's host has sent, and nobody on a side, and is tracked as nobody's. */
  faults(): string[] {
    return [...readConnections(new Set([nobodysZone]))]
      .map(({ protocol, original }) =>
        textOf({
          protocol,
          src: original.source,
          sport: original.sourcePort,
          dst: original.destination,
          dport: original.destinationPort,
        }),
      )
      .filter((tuple) => this.byTenants.has(tuple) && !this.bySides.has(tuple))
      .map((tuple) => `what a tenant's host sent, ${tuple}, is tracked in no tenant's zone`);
  }
}

/** As conntrack is read: ports are 0 where the protocol has none. */
function tupleOf({ protocol, src, dst, sport = 0, dport = 0 }: Ipv4): Tuple {
  const hasPorts = protocol === protocols.tcp || protocol === protocols.udp;
  return { protocol, src, sport: hasPorts ? sport : 0, dst, dport: hasPorts ? dport : 0 };
}
