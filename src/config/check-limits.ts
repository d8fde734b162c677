/** What tenants have been promised together, and what there is. */

import { eventPlaces, ruleSlots, templatePlaces } from "../model/desired.js";
import { maxPolicyCellsInAll } from "../model/policy.js";
import type { Resource } from "../model/shares.js";
import { cellsOf } from "./check-policy.js";
import type { Report } from "./finding.js";
import type { Config, ConfigTenant } from "./schema.js";

/** Resources that tenants' numbers may not come to more than: shares of tables are kept for their tenants. */
const sharedOut: readonly {
  readonly resource: Resource & ("newPerSecond" | "flows" | "templates" | "rules" | "eventsPerSecond");
  readonly capacityOf: (config: Config) => number;
  readonly remedy: string;
}[] = [
  {
    resource: "newPerSecond",
    capacityOf: ({ limits }) => limits.newPerSecond ?? Number.POSITIVE_INFINITY,
    remedy: "make them smaller, or `limits.newPerSecond` of the gateway larger",
  },
  {
    resource: "flows",
    capacityOf: ({ flows }) => flows,
    remedy: "make them smaller, or `flows` of the gateway larger",
  },
  { resource: "templates", capacityOf: () => templatePlaces / 2, remedy: "make them smaller" },
  { resource: "rules", capacityOf: () => ruleSlots / 2, remedy: "make them smaller" },
  { resource: "eventsPerSecond", capacityOf: () => eventPlaces, remedy: "make them smaller" },
];

/** Reported at the tenant with which it becomes too much. */
export function checkLimits(config: Config, report: Report): void {
  for (const { resource, capacityOf, remedy } of sharedOut) {
    const capacity = capacityOf(config);
    let promised = 0;
    for (const [index, { limits }] of config.tenants.entries()) {
      const before = promised;
      promised += limits[resource] ?? 0;
      if (before > capacity || promised <= capacity) continue;
      const message = `the tenants up to here are promised ${promised} ${resource}, and there are ${capacity} to share out`;
      report.error(["tenants", index, "limits", resource], message, remedy);
    }
  }
}

/** Whether a tenant takes more of what is shared than the one whose place it takes, so that all have to be looked at. */
export const takesMore = (tenant: ConfigTenant, of: ConfigTenant, config: Config): boolean =>
  cellsOf(tenant) > cellsOf(of) ||
  sharedOut.some(
    ({ resource, capacityOf }) =>
      (tenant.limits[resource] ?? 0) > (of.limits[resource] ?? 0) && Number.isFinite(capacityOf(config)),
  );

/** After the policies of all tenants were looked at. */
export function checkPolicySizes({ tenants }: Config, report: Report): void {
  let cells = 0;
  for (const [index, tenant] of tenants.entries()) {
    const before = cells;
    cells += cellsOf(tenant);
    if (before > maxPolicyCellsInAll || cells <= maxPolicyCellsInAll) continue;
    const message = `the rules of the tenants up to here come to more than ${maxPolicyCellsInAll} pieces`;
    report.error(
      ["tenants", index, "policy"],
      message,
      "use fewer rules that cut across each other, or a second instance",
    );
  }
}
