import { parseAddress } from "../model/ipv4.js";
import { sharedSources } from "../model/sources.js";
import { hostsOf, routedBy } from "./check-routes.js";
import { DisjointRanges } from "./disjoint-ranges.js";
import type { Path, Report } from "./finding.js";
import type { ConfigTenant } from "./schema.js";

/** Who has a public address, and where that is written. */
interface Owner {
  readonly tenant: ConfigTenant;
  readonly path: () => Path;
}

/** Public addresses that two claim. */
export function checkPublicAddresses(tenants: readonly ConfigTenant[], report: Report): void {
  const oneToOne = checkOneToOne(tenants, report);
  const forwarded = checkPortForwards(tenants, oneToOne, report);
  checkShared(tenants, [oneToOne, forwarded], report);
}

/** Whether a tenant has nothing that somebody else could have too, but what it had before: name, key, public addresses. */
export function claimsNothingNew(now: ConfigTenant, before: ConfigTenant): boolean {
  const claims = ({ name, key, publicIps, portForwards, snat }: ConfigTenant) => [
    `name ${name}`,
    `key ${key}`,
    ...publicIps.map(({ address }) => `one to one ${address}`),
    ...portForwards.map(({ address, protocol, port }) => `forward ${address} ${protocol} ${port.from}-${port.to}`),
    ...(snat ? [`share ${snat.address}`] : []),
  ];
  const had = new Set(claims(before));
  const has = claims(now);
  return new Set(has).size === has.length && has.every((claim) => had.has(claim));
}

/** A tenant's public addresses that are the gateway's own, or that lead to nowhere. */
export function checkOwnPublicAddresses(
  tenant: ConfigTenant,
  base: Path,
  underlayAddress: string | undefined,
  report: Report,
): void {
  checkOneHostEach(tenant, base, report);
  if (tenant.snat) {
    checkNotUnderlay(tenant.snat.address, [...base, "snat"], underlayAddress, report);
    checkSources(tenant, tenant.snat, [...base, "snat"], report);
  }
  const own = hostsOf(tenant.addresses);
  const isRouted = routedBy(tenant.routes);
  for (const list of ["publicIps", "portForwards"] as const) {
    for (const [at, entry] of tenant[list].entries()) {
      const path: Path = [...base, list, at];
      checkTarget(tenant.name, entry.to, { own, isRouted }, [...path, "to"], report);
      checkNotUnderlay(entry.address, path, underlayAddress, report);
    }
  }
}

function checkOneHostEach(tenant: ConfigTenant, base: Path, report: Report): void {
  const standsFor = new Map<string, Path>();
  const own = hostsOf(tenant.addresses);
  for (const [at, { address, to }] of tenant.publicIps.entries()) {
    const path: Path = [...base, "publicIps", at];
    if (own.has(address)) {
      const remedy = "give another public address, or forward single ports of this one with `portForwards`";
      report.error([...path, "address"], `${address} is the gateway's own address inside the tenant`, remedy);
    }
    const first = standsFor.get(to);
    if (first) {
      const message = `${to} has a public address already at ${report.placeOf(first)}, and can leave under one only`;
      report.error([...path, "to"], message, "remove one of the two, or use `portForwards` for the second address");
    } else {
      standsFor.set(to, [...path, "address"]);
    }
  }
}

/** More than a tenant can have of anything. */
const entriesOfTenant = 2 ** 26;

/** Of all tenants each time, so that it keeps no more than one number for an address. */
class OneToOne {
  private readonly owners = new Map<string, number>();

  constructor(private readonly tenants: readonly ConfigTenant[]) {}

  /** @returns false when it is somebody's already */
  take(address: string, index: number, at: number): boolean {
    if (this.owners.has(address)) return false;
    this.owners.set(address, index * entriesOfTenant + at);
    return true;
  }

  get(address: string): Owner | undefined {
    const place = this.owners.get(address) ?? -1;
    const index = Math.floor(place / entriesOfTenant);
    const tenant = this.tenants[index];
    if (!tenant) return undefined;
    return { tenant, path: () => ["tenants", index, "publicIps", place % entriesOfTenant, "address"] };
  }
}

function checkOneToOne(tenants: readonly ConfigTenant[], report: Report): OneToOne {
  const owners = new OneToOne(tenants);
  for (const [index, tenant] of tenants.entries()) {
    for (const [at, { address }] of tenant.publicIps.entries()) {
      if (owners.take(address, index, at)) continue;
      const remedy = "a one-to-one address leads to one host: remove one of the two";
      const taken = takenBy(address, owners.get(address) as Owner, tenant, report);
      report.error(["tenants", index, "publicIps", at, "address"], taken, remedy);
    }
  }
  return owners;
}

function checkPortForwards(tenants: readonly ConfigTenant[], oneToOne: OneToOne, report: Report): Map<string, Owner> {
  const owners = new Map<string, Owner>();
  const forwards = new Map<string, DisjointRanges<Path>>();
  for (const [index, tenant] of tenants.entries()) {
    for (const [at, { address, protocol, port }] of tenant.portForwards.entries()) {
      const base: Path = ["tenants", index, "portForwards", at];
      const whole = oneToOne.get(address);
      if (whole) {
        const remedy = "forward ports of an address that nobody has one to one";
        report.error([...base, "address"], takenBy(address, whole, tenant, report), remedy);
        continue;
      }
      const owner = owners.get(address);
      if (owner && owner.tenant !== tenant) {
        const remedy = "a public address belongs to one tenant: use another";
        report.error([...base, "address"], takenBy(address, owner, tenant, report), remedy);
        continue;
      }
      if (!owner) owners.set(address, { tenant, path: () => [...base, "address"] });
      const name = `${address} ${protocol}`;
      const others = forwards.get(name) ?? new DisjointRanges();
      forwards.set(name, others);
      const first = others.add(port, [...base, "port"]);
      if (first) {
        const both = { from: Math.max(port.from, first.range.from), to: Math.min(port.to, first.range.to) };
        const which = both.from === both.to ? `port ${both.from}` : `ports ${both.from}-${both.to}`;
        const are = both.from === both.to ? "is" : "are";
        const remedy = port.from === port.to ? "remove one of the two" : "remove one of the two, or cut the range";
        const message = `${name} ${which} ${are} forwarded already at ${report.placeOf(first.of)}`;
        report.error([...base, "port"], message, remedy);
      }
    }
  }
  return owners;
}

/** The address that a tenant's hosts share may be one that is theirs already, but nobody else's. */
function checkShared(
  tenants: readonly ConfigTenant[],
  taken: readonly Pick<ReadonlyMap<string, Owner>, "get">[],
  report: Report,
): void {
  const owners = new Map<string, Owner>();
  for (const [index, tenant] of tenants.entries()) {
    if (!tenant.snat) continue;
    const { address } = tenant.snat;
    const path = (): Path => ["tenants", index, "snat", "address"];
    const owner = [...taken, owners].map((of) => of.get(address)).find((owner) => owner && owner.tenant !== tenant);
    if (owner) {
      const remedy = "a public address belongs to one tenant: use another";
      report.error(path(), takenBy(address, owner, tenant, report), remedy);
    } else {
      owners.set(address, { tenant, path });
    }
  }
}

/** Somebody must be there to leave under a shared address. */
function checkSources(
  { name, routes }: ConfigTenant,
  { address, from }: NonNullable<ConfigTenant["snat"]>,
  path: Path,
  report: Report,
): void {
  if (sharedSources(routes, from).length > 0) return;
  const message = `none of ${name}'s routes leads to a private network, so nothing would leave under ${address}`;
  report.error(path, message, "name the networks that shall under `from`");
}

function checkNotUnderlay(address: string, path: Path, underlayAddress: string | undefined, report: Report): void {
  if (address !== underlayAddress) return;
  const message = `${address} is the gateway's underlay address, which carries the tunnels`;
  report.error([...path, "address"], message, "give a public address of its own");
}

function takenBy(address: string, owner: Owner, tenant: ConfigTenant, report: Report): string {
  const whose = owner.tenant === tenant ? "this tenant's already" : `${owner.tenant.name}'s`;
  return `the public address ${address} is ${whose} at ${report.placeOf(owner.path())}`;
}

/** A translation's target must be one of the tenant's hosts, and a route must say which endpoint has it. */
function checkTarget(
  name: string,
  to: string,
  { own, isRouted }: { readonly own: ReadonlySet<string>; isRouted(host: number): boolean },
  path: Path,
  report: Report,
): void {
  if (own.has(to)) {
    report.error(path, `${to} is the gateway's own address inside the tenant`, "give one of the tenant's hosts");
  } else if (!isRouted(parseAddress(to) as number)) {
    const remedy = `add { to: ${to}/32, via: <tunnel endpoint> } to ${name}'s routes`;
    report.error(path, `${to} is in none of ${name}'s routes, so packets for it go nowhere`, remedy);
  }
}
