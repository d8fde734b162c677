/** Things of the config in words, and where they stand in it. Pure. */

import type { Path } from "../config/finding.js";
import type { ConfigTenant } from "../config/schema.js";
import { describeRule } from "../model/rule-name.js";
import type { OutlineItem } from "./outline.js";
import type { Purpose } from "./purpose.js";

const directions = { "inbound rule": "inbound", "outbound rule": "outbound" } as const;

/** @param tenant as the config has it; undefined when it has it no more */
export function purposeWords({ part, item, steps }: OutlineItem, tenant: ConfigTenant | undefined): string {
  switch (part) {
    case "tenant":
      return "the tenant itself: devices, fences, programs";
    case "limits":
      return "limits";
    case "address":
      return `address ${item}`;
    case "endpoint":
      return `tunnel endpoint ${item}`;
    case "route": {
      const via = tenant?.routes.find(({ to }) => to === item)?.via;
      return `route ${item}${via === undefined ? "" : ` via ${via}`}`;
    }
    case "public address":
      return `public address ${item}${publicWords(tenant, item)}`;
    case "inbound rule":
    case "outbound rule": {
      const direction = directions[part];
      const rule = tenant?.policy[direction]?.[Number(item)];
      if (rule) return `${part} ${item}: ${describeRule(rule, direction)}`;
      const isDefault = tenant !== undefined && direction === "outbound" && !tenant.policy.outbound && item === "0";
      return isDefault ? "outbound: allow any (no list)" : `${part} ${item} of an earlier config`;
    }
    case "policy":
      return "policy, as XDP has it";
    case "flows":
      return steps.some(({ kind }) => kind === "connections.revoke")
        ? "connections that are no longer admitted end; flows are decided anew"
        : "flows are decided anew";
  }
}

function publicWords(tenant: ConfigTenant | undefined, item: string): string {
  const own = tenant?.publicIps.find(({ address }) => address === item);
  if (own) return ` to ${own.to}`;
  const forwards = tenant?.portForwards.filter(({ address }) => address === item).length ?? 0;
  const isShared = tenant?.snat?.address === item;
  const words = [
    ...(forwards > 0 ? [`${forwards} port ${forwards === 1 ? "forward" : "forwards"}`] : []),
    ...(isShared ? ["snat"] : []),
  ];
  return words.length === 0 ? "" : `: ${words.join(", ")}`;
}

/**
 * Of what goes there is no place.
 *
 * @param tenant as the config has it
 * @param at the tenant's index in the config
 */
export function purposePath(
  { part, item, sign }: Purpose & Pick<OutlineItem, "sign">,
  tenant: ConfigTenant,
  at: number,
): Path | undefined {
  if (sign === "-") return undefined;
  const base: Path = ["tenants", at];
  const within = (list: keyof ConfigTenant, index: number): Path | undefined =>
    index < 0 ? undefined : [...base, list, index];
  switch (part) {
    case "address":
      return within("addresses", tenant.addresses.indexOf(item)) ?? base;
    case "endpoint":
      return (
        within(
          "routes",
          tenant.routes.findIndex(({ via }) => via === item),
        ) ?? base
      );
    case "route":
      return (
        within(
          "routes",
          tenant.routes.findIndex(({ to }) => to === item),
        ) ?? base
      );
    case "public address": {
      const has = ({ address }: { readonly address: string }) => address === item;
      const listed =
        within("publicIps", tenant.publicIps.findIndex(has)) ??
        within("portForwards", tenant.portForwards.findIndex(has));
      return listed ?? (tenant.snat?.address === item ? [...base, "snat"] : base);
    }
    case "inbound rule":
    case "outbound rule": {
      const direction = directions[part];
      const isThere = tenant.policy[direction]?.[Number(item)] !== undefined;
      return [...base, "policy", ...(isThere ? [direction, Number(item)] : [])];
    }
    case "policy":
      return [...base, "policy"];
    case "limits":
      return [...base, "limits"];
    default:
      return base;
  }
}
