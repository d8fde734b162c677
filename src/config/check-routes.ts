import { networkOf, parsePrefix } from "../model/ipv4.js";
import type { Path, Report } from "./finding.js";
import type { ConfigTenant } from "./schema.js";

/** Routes that contradict each other, the gateway's own addresses or the underlay. */
export function checkRoutes(
  tenant: ConfigTenant,
  base: Path,
  underlayAddress: string | undefined,
  report: Report,
): void {
  checkOwnAddresses(tenant, base, report);
  checkDestinations(tenant, base, report);
  for (const [at, route] of tenant.routes.entries()) {
    if (route.via !== underlayAddress) continue;
    const remedy = "give the endpoint at the tenant's end of the tunnel";
    report.error([...base, "routes", at, "via"], `${route.via} is the gateway's own underlay address`, remedy);
  }
  if (tenant.routes.length === 0) {
    const remedy = "list under `routes` which tunnel endpoint has which network";
    report.warn(base, `${tenant.name} has no routes, so no packet reaches its hosts`, remedy);
  }
}

function checkOwnAddresses(tenant: ConfigTenant, base: Path, report: Report): void {
  const seen = new Map<string, Path>();
  for (const [at, address] of tenant.addresses.entries()) {
    const path: Path = [...base, "addresses", at];
    const host = hostOf(address);
    const first = seen.get(host);
    if (first) report.error(path, `${host} is listed already at ${report.placeOf(first)}`, "remove one of the two");
    else seen.set(host, path);
  }
}

function checkDestinations(tenant: ConfigTenant, base: Path, report: Report): void {
  const own = new Map(tenant.addresses.map((address, at) => [hostOf(address), [...base, "addresses", at]]));
  const seen = new Map<string, { readonly path: Path; readonly via: string }>();
  for (const [at, route] of tenant.routes.entries()) {
    const path: Path = [...base, "routes", at, "to"];
    const ours = route.to.endsWith("/32") ? own.get(hostOf(route.to)) : undefined;
    if (ours) {
      const message = `${route.to} is the gateway's own address inside the tenant (${report.placeOf(ours)})`;
      report.error(path, message, "change the route or the address");
    }
    const first = seen.get(route.to);
    if (!first) {
      seen.set(route.to, { path, via: route.via });
    } else if (first.via === route.via) {
      report.warn(
        path,
        `the route to ${route.to} is listed already at ${report.placeOf(first.path)}`,
        "remove one of the two",
      );
    } else {
      const message = `${route.to} already goes via ${first.via} at ${report.placeOf(first.path)}`;
      report.error(path, message, "a network lives behind one endpoint: remove one of the two, or split the network");
    }
  }
}

function hostOf(prefix: string): string {
  return prefix.slice(0, prefix.indexOf("/"));
}

/** The gateway's own addresses inside a tenant, without their networks. */
export const hostsOf = (addresses: readonly string[]): ReadonlySet<string> => new Set(addresses.map(hostOf));

/** Whether one of these routes leads to a host: by the routes of each length, of which there are 33. */
export function routedBy(routes: readonly { readonly to: string }[]): (host: number) => boolean {
  const byLength = new Map<number, Set<number>>();
  for (const { to } of routes) {
    const prefix = parsePrefix(to);
    if (!prefix) continue;
    const { address, length } = networkOf(prefix);
    byLength.set(length, (byLength.get(length) ?? new Set()).add(address));
  }
  const lengths = [...byLength];
  return (address) => lengths.some(([length, networks]) => networks.has(networkOf({ address, length }).address));
}
