/** Connections as the config lets them begin, and what translates their packets: conntrack's work, done by what is seen. */

import { type Ipv4, isIcmpError, protocols } from "../frames/layers.js";
import { isPrivate, type TenantWorld, type Tuple } from "./world.js";

export function tupleOf({ protocol, src, dst, sport = 0, dport = 0, icmp }: Ipv4): Tuple {
  return protocol === protocols.icmp && icmp
    ? { protocol, src, sport: icmp.id, dst, dport: icmp.id }
    : { protocol, src, sport, dst, dport };
}

const reversed = ({ protocol, src, sport, dst, dport }: Tuple): Tuple => ({
  protocol,
  src: dst,
  sport: dport,
  dst: src,
  dport: sport,
});

export const textOf = ({ protocol, src, sport, dst, dport }: Tuple) => `${protocol} ${src}:${sport} > ${dst}:${dport}`;

export class Connections {
  /** Of a tenant: a tuple as it arrives, and those as which it may leave. */
  private readonly known = new Map<string, Set<string>>();

  /** Why a packet must not have been sent on as it was; undefined when it may. */
  fault(
    tenant: TenantWorld,
    sent: Ipv4,
    left: Ipv4,
    where: "tunnel" | "uplink",
    isFromTenant: boolean,
  ): string | undefined {
    const [arrived, gone] = [tupleOf(sent), tupleOf(left)];
    if (isIcmpError(sent)) return this.relatedFault(tenant, sent, left);
    // Other networks may be inside and outside alike.
    if (!isFromTenant && isPrivate(sent.src) && tenant.endpointOf(sent.src) !== undefined)
      return `${textOf(arrived)} left as ${textOf(gone)}: somebody outside has the address of a host inside`;
    if (this.of(tenant, arrived).has(textOf(gone))) return undefined;
    const fault = newFault(tenant, arrived, gone, where, isFromTenant);
    if (fault !== undefined) return `${textOf(arrived)} left as ${textOf(gone)}: ${fault}`;
    this.of(tenant, arrived).add(textOf(gone));
    this.of(tenant, reversed(gone)).add(textOf(reversed(arrived)));
    return undefined;
  }

  /** An error is about a packet that its sender got: as one that left. */
  private relatedFault(tenant: TenantWorld, { icmp }: Ipv4, left: Ipv4): string | undefined {
    const about = icmp?.quoted && tupleOf(icmp.quoted);
    const isKnown = about && (this.of(tenant, about).size > 0 || this.of(tenant, reversed(about)).size > 0);
    return isKnown ? undefined : `an ICMP error about no connection left as ${left.src} > ${left.dst}`;
  }

  private of({ key }: TenantWorld, tuple: Tuple): Set<string> {
    const name = `${key} ${textOf(tuple)}`;
    const found = this.known.get(name) ?? new Set();
    this.known.set(name, found);
    return found;
  }
}

function newFault(
  tenant: TenantWorld,
  arrived: Tuple,
  gone: Tuple,
  where: "tunnel" | "uplink",
  isFromTenant: boolean,
): string | undefined {
  const target = tenant.translated(arrived);
  const wanted = target ?? arrived;
  if (gone.dst !== wanted.dst || gone.dport !== wanted.dport)
    return `its destination should be ${wanted.dst}:${wanted.dport}`;
  if (target === undefined && !isFromTenant) return "a public address leads nowhere for it";
  const sources = [
    tenant.publicOf(arrived.src),
    ...(where === "tunnel" || tenant.publics.has(arrived.src) ? [arrived.src] : []),
  ];
  if (isFromTenant ? !sources.includes(gone.src) : gone.src !== arrived.src)
    return `its source should be ${[...new Set(isFromTenant ? sources : [arrived.src])].join(" or ")}`;
  if (target !== undefined)
    return tenant.admitsInbound({ ...arrived, ...target }) ? undefined : "the inbound policy denies it";
  return tenant.admitsOutbound(arrived) ? undefined : "the outbound policy denies it";
}
