import type { Path, Report } from "./finding.js";
import type { Config } from "./schema.js";

/** A next hop that is somebody else's address in this config. */
export function checkUplink({ uplink, underlay, tenants }: Config, report: Report): void {
  if (!uplink) return;
  const { gateway } = uplink;
  const path: Path = ["uplink", "gateway"];
  const remedy = "give the address of the router behind the uplink device";
  if (gateway === underlay.address) report.error(path, `${gateway} is the gateway's own underlay address`, remedy);
  for (const [index, tenant] of tenants.entries())
    for (const list of ["publicIps", "portForwards"] as const)
      for (const [at, { address }] of tenant[list].entries())
        if (address === gateway) {
          const place = report.placeOf(["tenants", index, list, at, "address"]);
          report.error(path, `${gateway} is ${tenant.name}'s public address at ${place}`, remedy);
          return;
        }
}
