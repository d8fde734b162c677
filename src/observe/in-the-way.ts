/** What is not xgw's to change and stands in the way of what the config promises. */

import type { Finding } from "../finding.js";
import { families, type RoutingRule, readRules, rulesInFront } from "../kernel/routing-rules.js";
import type { Link } from "../kernel/rtnetlink.js";
import type { Desired } from "../model/desired.js";
import type { Family } from "../plan/state.js";
import { hostFindings } from "./host.js";
import { tableFindings } from "./kernel-tables.js";

export function observeInTheWay(desired: Desired, links: readonly Link[]): Finding[] {
  const { tenants } = desired;
  if (tenants.length === 0) return [];
  const devices = new Set(tenants.flatMap(({ vrf, tunnel }) => [vrf, tunnel]));
  const rules = families().flatMap((family) =>
    rulesInFront(readRules(family), (device) => devices.has(device)).map((rule) => inFront(family, rule)),
  );
  return [...rules, ...tableFindings(desired), ...hostFindings(desired, links)];
}

function inFront(family: Family, { preference, table }: RoutingRule): Finding {
  const ip = family === "ipv6" ? "ip -6" : "ip";
  return {
    id: "rule_in_front",
    severity: "critical",
    subject: `${family} ${preference}`,
    what:
      `the routing rule of preference ${preference} (${family}, table ${table}) stands before the one that leads tenants' ` +
      "packets to their own tables",
    why: "it may lead them elsewhere",
    evidence: `${ip} rule show`,
    remedy:
      `${ip} rule del pref ${preference} table ${table} # and add it again, so that the kernel puts it behind, or name the ` +
      "device that it is for with `iif`",
  };
}
