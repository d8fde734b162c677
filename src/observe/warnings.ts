/** What is not xgw's to change and stands in the way of what the config promises. */

import { families, type RoutingRule, readRules, rulesInFront } from "../kernel/routing-rules.js";
import type { Link } from "../kernel/rtnetlink.js";
import type { Desired } from "../model/desired.js";
import type { Family } from "../plan/state.js";
import { hostWarnings } from "./host.js";
import { tableWarnings } from "./kernel-tables.js";

/** Each with what to do about it. */
export function observeWarnings(desired: Desired, links: readonly Link[]): string[] {
  const { tenants } = desired;
  if (tenants.length === 0) return [];
  const devices = new Set(tenants.flatMap(({ vrf, tunnel }) => [vrf, tunnel]));
  const rules = families().flatMap((family) =>
    rulesInFront(readRules(family), (device) => devices.has(device)).map((rule) => inFront(family, rule)),
  );
  return [...rules, ...tableWarnings(desired), ...hostWarnings(desired, links)];
}

function inFront(family: Family, { preference, table }: RoutingRule): string {
  const ip = family === "ipv6" ? "ip -6" : "ip";
  return (
    `the routing rule of preference ${preference} (${family}, table ${table}) stands before the one that leads tenants' packets ` +
    `to their own tables, and may lead them elsewhere; add it again, so that the kernel puts it behind, or name the device ` +
    `that it is for with \`iif\`: ${ip} rule show`
  );
}
