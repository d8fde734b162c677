/** A tenant's policy, rule by rule, with what each has let through and denied. Pure. */

import type { ConfigTenant } from "../config/schema.js";
import { addTiers, type Count, type ForwardedByRule, noTiers, type Tiers } from "../datapath/accounting.js";
import type { Denial } from "../datapath/counters.js";
import type { DescribeRule } from "../flow/show.js";
import { type PolicyDirection, ruleOfMark } from "../plan/rules.js";
import type { TenantReport } from "./schema.js";

type Direction = TenantReport["policy"]["inbound"];
type Denied = Direction["unmatched"];

export interface Denials {
  readonly xdp: readonly Denial[];
  readonly nft: readonly Denial[];
}

/** @param tenant as the config has it, if that can be read */
export function policyOf(
  key: number,
  tenant: ConfigTenant | undefined,
  forwarded: readonly ForwardedByRule[],
  denials: Denials,
  describeRule: DescribeRule,
): TenantReport["policy"] {
  const counts = forwarded.map(({ mark, tiers }) => ({ place: ruleOfMark(mark), tiers }));
  const letThrough = (direction: PolicyDirection | undefined, rule?: number): Tiers =>
    counts
      .filter(({ place }) => place?.direction === direction && place?.rule === rule)
      .reduce((sum, { tiers }) => addTiers(sum, tiers), noTiers);
  const of = (direction: PolicyDirection): Direction => {
    const counted = [
      ...counts.flatMap(({ place }) => (place?.direction === direction ? [place.rule] : [])),
      ...[...denials.xdp, ...denials.nft].flatMap((one) =>
        one.direction === direction && one.rule !== undefined ? [one.rule] : [],
      ),
    ];
    const numbers = [...new Set([...rulesOf(tenant, direction), ...counted])].sort((a, b) => a - b);
    return {
      rules: numbers.map((rule) => ({
        rule,
        ...describeRule(key, { direction, rule }),
        ...letThrough(direction, rule),
        denied: deniedBy(denials, direction, rule),
      })),
      unmatched: deniedBy(denials, direction, undefined),
    };
  };
  return { inbound: of("inbound"), outbound: of("outbound"), withoutRule: letThrough(undefined) };
}

/** Without a list everything gets out, which counts as a rule. */
function rulesOf(tenant: ConfigTenant | undefined, direction: PolicyDirection): number[] {
  if (!tenant) return [];
  const length = tenant.policy[direction]?.length ?? (direction === "outbound" ? 1 : 0);
  return Array.from({ length }, (_, rule) => rule);
}

function deniedBy({ xdp, nft }: Denials, direction: PolicyDirection, rule: number | undefined): Denied {
  const sum = (all: readonly Denial[]) => sumOf(all.filter((one) => one.direction === direction && one.rule === rule));
  return { xdp: sum(xdp), nft: sum(nft) };
}

export const sumOf = (counts: readonly Count[]): Count =>
  counts.reduce(
    (sum, { packets, bytes }) => ({ packets: sum.packets + packets, bytes: sum.bytes + bytes }),
    noTiers.stack,
  );
