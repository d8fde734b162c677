import { parseAddress } from "../model/ipv4.js";
import { isRouted } from "./check-routes.js";
import type { Path, Report } from "./finding.js";
import type { ConfigTenant } from "./schema.js";

/** Who has a public address, and where that is written. */
interface Owner {
  readonly tenant: ConfigTenant;
  readonly path: Path;
}

/** Public addresses that two claim, that are the gateway's own, or that lead to nowhere. */
export function checkPublicAddresses(
  tenants: readonly ConfigTenant[],
  underlayAddress: string | undefined,
  report: Report,
): void {
  const oneToOne = checkOneToOne(tenants, report);
  checkPortForwards(tenants, oneToOne, report);
  for (const [index, tenant] of tenants.entries()) {
    for (const list of ["publicIps", "portForwards"] as const) {
      for (const [at, entry] of tenant[list].entries()) {
        const path: Path = ["tenants", index, list, at];
        checkTarget(tenant, entry.to, [...path, "to"], report);
        if (entry.address === underlayAddress) {
          const message = `${entry.address} is the gateway's underlay address, which carries the tunnels`;
          report.error([...path, "address"], message, "give a public address of its own");
        }
      }
    }
  }
}

function checkOneToOne(tenants: readonly ConfigTenant[], report: Report): Map<string, Owner> {
  const owners = new Map<string, Owner>();
  for (const [index, tenant] of tenants.entries()) {
    const standsFor = new Map<string, Path>();
    for (const [at, { address, to }] of tenant.publicIps.entries()) {
      const base: Path = ["tenants", index, "publicIps", at];
      const path: Path = [...base, "address"];
      const owner = owners.get(address);
      if (owner)
        report.error(
          path,
          taken(address, owner, tenant, report),
          "a one-to-one address leads to one host: remove one of the two",
        );
      else owners.set(address, { tenant, path });
      if (tenant.addresses.some((own) => own.startsWith(`${address}/`))) {
        const remedy = "give another public address, or forward single ports of this one with `portForwards`";
        report.error(path, `${address} is the gateway's own address inside the tenant`, remedy);
      }
      const first = standsFor.get(to);
      if (first) {
        const message = `${to} has a public address already at ${report.placeOf(first)}, and can leave under one only`;
        report.error([...base, "to"], message, "remove one of the two, or use `portForwards` for the second address");
      } else {
        standsFor.set(to, path);
      }
    }
  }
  return owners;
}

function checkPortForwards(
  tenants: readonly ConfigTenant[],
  oneToOne: ReadonlyMap<string, Owner>,
  report: Report,
): void {
  const owners = new Map<string, Owner>();
  const ports = new Map<string, Path>();
  for (const [index, tenant] of tenants.entries()) {
    for (const [at, { address, protocol, port }] of tenant.portForwards.entries()) {
      const base: Path = ["tenants", index, "portForwards", at];
      const whole = oneToOne.get(address);
      if (whole) {
        const remedy = "forward ports of an address that nobody has one to one";
        report.error([...base, "address"], taken(address, whole, tenant, report), remedy);
        continue;
      }
      const owner = owners.get(address);
      if (owner && owner.tenant !== tenant) {
        const remedy = "a public address belongs to one tenant: use another";
        report.error([...base, "address"], taken(address, owner, tenant, report), remedy);
        continue;
      }
      if (!owner) owners.set(address, { tenant, path: [...base, "address"] });
      const name = `${address} ${protocol} port ${port}`;
      const first = ports.get(name);
      if (first)
        report.error(
          [...base, "port"],
          `${name} is forwarded already at ${report.placeOf(first)}`,
          "remove one of the two",
        );
      else ports.set(name, [...base, "port"]);
    }
  }
}

function taken(address: string, owner: Owner, tenant: ConfigTenant, report: Report): string {
  const whose = owner.tenant === tenant ? "this tenant's already" : `${owner.tenant.name}'s`;
  return `the public address ${address} is ${whose} at ${report.placeOf(owner.path)}`;
}

/** A translation's target must be one of the tenant's hosts, and a route must say which endpoint has it. */
function checkTarget(tenant: ConfigTenant, to: string, path: Path, report: Report): void {
  if (tenant.addresses.some((own) => own.startsWith(`${to}/`))) {
    report.error(path, `${to} is the gateway's own address inside the tenant`, "give one of the tenant's hosts");
  } else if (!isRouted(tenant, parseAddress(to) as number)) {
    const remedy = `add { to: ${to}/32, via: <tunnel endpoint> } to ${tenant.name}'s routes`;
    report.error(path, `${to} is in none of ${tenant.name}'s routes, so packets for it go nowhere`, remedy);
  }
}
