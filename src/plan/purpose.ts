/** What a step is for: the thing of the config that it carries out. Pure. */

import { ruleOfMark } from "./rules.js";
import type { Element, Entry, Route } from "./state.js";
import type { Step } from "./steps.js";

/**
 * Things of a tenant. `tenant`: its devices, and what keeps it apart; `policy`: the policy as XDP has it, which is not cut by
 * rules; `flows`: what live connections and flows meet. Their item is empty; of a rule it is its index in the config's list, else
 * an address or a prefix.
 */
export const parts = [
  "tenant",
  "limits",
  "address",
  "endpoint",
  "route",
  "public address",
  "inbound rule",
  "outbound rule",
  "policy",
  "flows",
] as const;

export type Part = (typeof parts)[number];

export interface Purpose {
  readonly part: Part;
  readonly item: string;
}

const of = (part: Part, item = ""): Purpose => ({ part, item });

/** Of a step that is a tenant's. */
export function purposeOf(step: Step): Purpose {
  switch (step.kind) {
    case "address.add":
    case "address.delete":
      return of("address", step.address.address);
    case "neighbour.set":
    case "neighbour.delete":
      return of("endpoint", step.neighbour.endpoint);
    case "route.set":
    case "route.delete":
      return ofRoute(step.route);
    case "element.set":
    case "element.delete":
      return ofElement(step.element);
    case "entry.set":
    case "entry.delete":
      return ofEntry(step.entry);
    case "connections.revoke":
    case "generation.bump":
      return of("flows");
    default:
      return of("tenant");
  }
}

/** What comes to a public address and is not translated ends at a route that leads nowhere. */
function ofRoute({ to, tunnel, uplink, metric }: Route): Purpose {
  if (tunnel) return of("route", to === "default" ? "0.0.0.0/0" : to);
  return uplink || metric || !to.endsWith("/32") ? of("tenant") : of("public address", to.slice(0, -3));
}

function ofElement({ set, key, value }: Element): Purpose {
  const words = key.split(" . ");
  switch (set) {
    case "gre_peers":
      return of("endpoint", words[1]);
    case "uplink_sources":
      return of("public address", words[2]);
    case "dnat_to":
    case "forward_to":
    case "forward_range":
      return of("public address", words[1]);
    case "snat_to":
    case "shared_to":
      return of("public address", value);
    case "inbound":
    case "outbound": {
      const rule = ruleOfMark(Number(value));
      return rule ? of(`${set} rule`, String(rule.rule)) : of("policy");
    }
    default:
      return of("tenant");
  }
}

function ofEntry(entry: Entry): Purpose {
  switch (entry.map) {
    case "limits":
      return of("limits");
    case "peers":
      return of("endpoint", entry.address);
    case "endpoints":
      return of("route", entry.prefix);
    case "public_ips":
    case "destinations":
      return of("public address", entry.address);
    case "policy_networks":
    case "policy_services":
      return of("policy");
    default:
      return of("tenant");
  }
}

/** As the words of a step begin: `+` makes, `~` changes, `-` removes, `>` moves on. */
export type Sign = "+" | "~" | "-" | ">";

export function signOf(step: Step): Sign {
  switch (step.kind) {
    case "device.add":
    case "address.add":
    case "neighbour.set":
    case "flowtable.add":
    case "map.pin":
    case "datapath.load":
      return "+";
    case "route.set":
    case "element.set":
    case "entry.set":
    case "attach":
      return step.was === undefined ? "+" : "~";
    case "rules.set":
      return step.was === "" ? "+" : "~";
    case "device.set":
    case "device.replace":
    case "rule-order.set":
    case "rule-order.restore":
    case "sysctl.set":
    case "tag-offload.set":
    case "map.move":
      return "~";
    case "connections.revoke":
    case "generation.bump":
      return ">";
    default:
      return "-";
  }
}
