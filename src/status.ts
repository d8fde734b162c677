/** How the gateway is: in step or not, what is attached, what each tenant's packets met. Reads only. */

import type { Config, ConfigTenant } from "./config/schema.js";
import {
  addTiers,
  type Count,
  type ForwardedByRule,
  noTiers,
  readForwarded,
  type Tiers,
} from "./datapath/accounting.js";
import { countFlows, type Denial, readDenials, readReasons } from "./datapath/counters.js";
import { Pins } from "./datapath/pins.js";
import { reasons } from "./datapath/reasons.js";
import { readSessions } from "./datapath/sessions.js";
import { plan } from "./gateway.js";
import { type Desired, nobody } from "./model/desired.js";
import { describeRule } from "./model/rule-name.js";
import { type Refusals, readNftCounters } from "./observe/nft-counters.js";
import { describeStep } from "./plan/describe.js";
import { type PolicyDirection, ruleOfMark } from "./plan/rules.js";

/** What one rule of the policy has let through. */
export interface RuleStatus extends Tiers {
  /** Missing, as `rule` is, for what no rule had to admit. */
  readonly direction?: PolicyDirection;
  /** Index in the config's list. */
  readonly rule?: number;
  /** As the config has it. */
  readonly name: string;
}

export interface TenantStatus {
  readonly name: string;
  readonly key: number;
  readonly id: number;
  readonly flows: number;
  /** Live connections; missing while no tenant has a limit of them, for nobody counts then. */
  readonly sessions?: number;
  /** What came in, by reason; see docs/reasons.md. The bytes of `forwarded` are of IP packets, the others' of frames. */
  readonly xdp: Readonly<Record<string, Count>>;
  /** What XDP sent itself, what it gave to the kernel, and what it dropped, packets. */
  readonly packets: { readonly forwarded: number; readonly passed: number; readonly dropped: number };
  /** What went out, by the tier that carried it: packets as on the wire, bytes of inner IP packets. */
  readonly forwarded: Tiers;
  /** The same by the rules that have admitted it; they add up to `forwarded`. */
  readonly rules: readonly RuleStatus[];
  /** Packets that the policy refused, in XDP or in the nft rules. */
  readonly denied: readonly Denial[];
  /** Packets that the nft rules refused for other reasons, by reason. */
  readonly refused: Refusals;
}

export interface Status {
  readonly instance: string;
  readonly inStep: boolean;
  /** What `xgw apply` would do. */
  readonly pending: readonly string[];
  /** What is not xgw's to change and stands in the way of what the config promises. */
  readonly warnings: readonly string[];
  readonly nics: readonly { readonly name: string; readonly xdp: string }[];
  /** Packets that are no tenant's, by reason. */
  readonly nobody: Readonly<Record<string, Count>>;
  /** Packets between underlay and uplink that the nft rules refused, by reason. */
  readonly refused: Refusals;
  readonly tenants: readonly TenantStatus[];
}

export async function readStatus(config: Config): Promise<Status> {
  const { desired, steps, warnings = [] } = await plan(config);
  return { inStep: steps.length === 0, pending: steps.map(describeStep), warnings, ...readCounted(config, desired) };
}

/** What has been counted, without a look at what else there is in the kernel. */
export type Counted = Omit<Status, "inStep" | "pending" | "warnings">;

/** @param desired what the config was made into, and is in force */
export function readCounted(config: Config, desired: Desired): Counted {
  const pins = new Pins(config.instance);
  const ids = desired.tenants.map((tenant) => tenant.id);
  const counts = readReasons(pins, [nobody, ...ids]);
  const forwardedByRule = readForwarded(pins, ids);
  const byKey = new Map(config.tenants.map((tenant) => [tenant.key, tenant]));
  const flows = countFlows(pins);
  const nft = readNftCounters(config.instance, desired.tenants);
  const denials = readDenials(pins);
  const sessions = readSessions(pins);
  return {
    instance: config.instance,
    nics: desired.nics.map(({ name, xdp }) => ({ name, xdp })),
    nobody: counts.get(nobody) ?? {},
    refused: nft.refused.get(nobody) ?? {},
    tenants: desired.tenants.map(({ name, key, id }) => {
      const byRule = forwardedByRule.get(id) ?? [];
      const forwarded = byRule.reduce((sum, { tiers }) => addTiers(sum, tiers), noTiers);
      const xdp = { ...(forwarded.xdp.packets > 0 ? { forwarded: forwarded.xdp } : {}), ...counts.get(id) };
      return {
        name,
        key,
        id,
        flows: flows.get(id) ?? 0,
        ...(sessions ? { sessions: sessions[id] ?? 0 } : {}),
        xdp,
        packets: {
          forwarded: packetsOf(xdp, "forwarded"),
          passed: packetsOf(xdp, "pass"),
          dropped: packetsOf(xdp, "drop"),
        },
        forwarded,
        rules: byRule.map((counted) => ruleStatus(byKey.get(key), counted)),
        denied: sumDenials([...(nft.denied.get(id) ?? []), ...(denials.get(id) ?? [])]),
        refused: nft.refused.get(id) ?? {},
      };
    }),
  };
}

function ruleStatus(tenant: ConfigTenant | undefined, { mark, tiers }: ForwardedByRule): RuleStatus {
  const place = ruleOfMark(mark);
  if (!place) return { name: "without a rule", ...tiers };
  const { direction, rule } = place;
  const list = tenant?.policy[direction];
  const known = list?.[rule];
  if (known) return { direction, rule, name: describeRule(known, direction), ...tiers };
  const isDefault = direction === "outbound" && list === undefined && rule === 0;
  return { direction, rule, name: isDefault ? "allow any (no list)" : "a rule of an earlier config", ...tiers };
}

/** One for each direction and rule. */
function sumDenials(denials: readonly Denial[]): Denial[] {
  const sums = new Map<string, Denial>();
  for (const { direction, rule, packets, bytes } of denials) {
    const name = `${direction} ${rule}`;
    const sum = sums.get(name) ?? { packets: 0, bytes: 0 };
    sums.set(name, { direction, rule, packets: sum.packets + packets, bytes: sum.bytes + bytes });
  }
  return [...sums.values()];
}

function packetsOf(counts: Readonly<Record<string, Count>>, verdict: "forwarded" | "pass" | "drop"): number {
  return reasons
    .filter((reason) => reason.verdict === verdict)
    .reduce((sum, reason) => sum + (counts[reason.name]?.packets ?? 0), 0);
}
