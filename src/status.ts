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
import { observeAttachments, observeXdp } from "./datapath/attachments.js";
import { type Denial, readDenials, readReasons } from "./datapath/counters.js";
import { kernelNames } from "./datapath/entries.js";
import { readNeighbourCounts } from "./datapath/neighbours.js";
import { Pins } from "./datapath/pins.js";
import { reasons } from "./datapath/reasons.js";
import { readSessions } from "./datapath/sessions.js";
import { readShares, type TenantShares } from "./datapath/shares.js";
import { readUnsent } from "./datapath/unsent.js";
import { type Diagnosis, diagnose } from "./doctor.js";
import { XgwError } from "./errors.js";
import type { FindingCounts } from "./finding.js";
import { type DesiredTenant, nobody } from "./model/desired.js";
import { describeRule } from "./model/rule-name.js";
import type { Limits } from "./model/shares.js";
import { type Conntrack, readConntrack } from "./observe/kernel-tables.js";
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
  /** Live connections; missing while nobody counts. */
  readonly sessions?: number;
  /** The kernel's neighbours on the tenant's tunnel; missing while nobody counts. */
  readonly neighbours?: number;
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
  /** Places of tables that tenants share; see docs/limits.md. */
  readonly usage: TenantShares["usage"];
  /** Times that the tenant did not get one, or lost it. */
  readonly losses: TenantShares["losses"];
}

export interface NicStatus {
  readonly name: string;
  /** The mode in which xgw's program runs there; `none`, or `not xgw's` where another one does. */
  readonly xdp: string;
  /** Packets that XDP has sent by it, and that it has not. */
  readonly unsent: number;
}

export interface Status {
  readonly instance: string;
  readonly inStep: boolean;
  /** What `xgw apply` would do. */
  readonly pending: readonly string[];
  /** What is not xgw's to change, or cannot be from here, and stands in the way of what the config promises. */
  readonly warnings: readonly string[];
  /** What was found by the same look as `xgw doctor`'s, by severity. */
  readonly health: FindingCounts;
  /** Those of the config, and others that XDP is attached to: by the kernel's word. */
  readonly nics: readonly NicStatus[];
  /** Packets that are no tenant's, by reason. */
  readonly nobody: Readonly<Record<string, Count>>;
  /** Packets of no tenant's that the nft rules refused, by reason. */
  readonly refused: Refusals;
  /** The kernel's table of connections. */
  readonly conntrack: Conntrack;
  readonly tenants: readonly TenantStatus[];
}

/** @throws KernelError, ForeignError: why the config and the kernel cannot be compared */
export const readStatus = async (config: Config): Promise<Status> => statusOf(config, await diagnose(config));

/** @throws as `readStatus` does */
export function statusOf(config: Config, { compared, health }: Diagnosis): Status {
  if (compared instanceof XgwError) throw compared;
  const { desired, steps, warnings = [] } = compared;
  const counted = readCounted(desired, config.tenants);
  return {
    inStep: steps.length === 0,
    pending: steps.map(describeStep),
    warnings,
    health: health.counts,
    ...counted,
  };
}

/** What has been counted, without a look at what else there is in the kernel. */
export type Counted = Omit<Status, "inStep" | "pending" | "warnings" | "health">;

/** Of whom things are counted: a config in force, or what the kernel says by itself. */
export interface Subject {
  readonly instance: string;
  readonly tenants: readonly Pick<DesiredTenant, "name" | "key" | "id" | "vrf" | "tunnel" | "limits">[];
  readonly shares: Limits;
  /** Of the config. */
  readonly nics?: readonly { readonly name: string }[];
}

/** @param configured the tenants as the config has them, for the names of their rules */
export function readCounted(subject: Subject, configured: readonly ConfigTenant[] = []): Counted {
  const { instance, tenants } = subject;
  const pins = new Pins(instance);
  const ids = tenants.map((tenant) => tenant.id);
  const counts = readReasons(pins, [nobody, ...ids]);
  const forwardedByRule = readForwarded(pins, ids);
  const byKey = new Map(configured.map((tenant) => [tenant.key, tenant]));
  const shares = readShares(pins, tenants, subject.shares);
  const nft = readNftCounters(instance, tenants);
  const denials = readDenials(pins);
  const sessions = readSessions(pins);
  const neighbours = readNeighbourCounts(pins);
  return {
    instance,
    nics: observeNics(pins, subject.nics ?? []),
    nobody: counts.get(nobody) ?? {},
    refused: nft.refused.get(nobody) ?? {},
    conntrack: readConntrack(),
    tenants: tenants.map(({ name, key, id }) => {
      const byRule = forwardedByRule.get(id) ?? [];
      const forwarded = byRule.reduce((sum, { tiers }) => addTiers(sum, tiers), noTiers);
      const xdp = { ...(forwarded.xdp.packets > 0 ? { forwarded: forwarded.xdp } : {}), ...counts.get(id) };
      return {
        name,
        key,
        id,
        flows: shares.get(id)?.usage.flows.used ?? 0,
        ...(sessions ? { sessions: sessions[id] ?? 0 } : {}),
        ...(neighbours ? { neighbours: neighbours[id] ?? 0 } : {}),
        xdp,
        packets: {
          forwarded: packetsOf(xdp, "forwarded"),
          passed: packetsOf(xdp, "pass"),
          dropped: packetsOf(xdp, "drop"),
        },
        forwarded,
        rules: byRule.map((counted) => ruleStatus(byKey.get(key), counted)),
        ...(shares.get(id) as TenantShares),
        denied: sumDenials([...(nft.denied.get(id) ?? []), ...(denials.get(id) ?? [])]),
        refused: nft.refused.get(id) ?? {},
      };
    }),
  };
}

function observeNics(pins: Pins, configured: NonNullable<Subject["nics"]>): Status["nics"] {
  const links = pins.links().filter((name) => name.startsWith("xdp_"));
  const attached = [...observeAttachments(pins, kernelNames, links).values()].map(({ device }) => device);
  const names = [...new Set([...configured.map(({ name }) => name), ...attached.filter((name) => name !== "")])];
  const unsent = readUnsent(pins);
  return observeXdp(pins, names, kernelNames).map(({ device, progId, mode, isOurs }) => ({
    name: device,
    xdp: progId === undefined ? "none" : isOurs ? (mode ?? "none") : "not xgw's",
    unsent: unsent.get(kernelNames.indexOf(device)) ?? 0,
  }));
}

function ruleStatus(tenant: ConfigTenant | undefined, { mark, tiers }: ForwardedByRule): RuleStatus {
  const place = ruleOfMark(mark);
  if (!place) return { name: "without a rule", ...tiers };
  const { direction, rule } = place;
  if (!tenant) return { direction, rule, name: "see the config in force", ...tiers };
  const list = tenant.policy[direction];
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
