/**
 * The routing policy's rules (`ip rule`), of which two decide what a tenant's packets can find: the one that leads packets of
 * a VRF to its table (l3mdev), and the one for the gateway's own addresses (table local), which the kernel puts first.
 */

import { type Attributes, BpfError, hostU32 } from "libbpf-ts";
import { routeProtocol } from "../plan/owner.js";
import type { Family, RuleOrder } from "../plan/state.js";
import { batch } from "./ip.js";
import { readRuleMessages } from "./rtnetlink.js";
import { hasIpv6 } from "./sysctl.js";

/**
 * xgw's are the first two, both with preference 0: so whatever others add, with a preference or without (the kernel then takes
 * 0 as well, and puts it behind them), stands behind the machine's own addresses as it did before, and in front of no tenant's
 * table. `meanwhile` is for a rule that is only there while they change places.
 */
const preferences = { ours: 0, meanwhile: 1 } as const;

/** FRA_* (linux/fib_rules.h). */
const ofRule = { input: 3, preference: 6, table: 15, output: 17, l3mdev: 19, protocol: 21 } as const;
/** FRA_DST, _SRC, _IIFNAME, _FWMARK, _TUN_ID, _OIFNAME, _UID_RANGE, _IP_PROTO, _SPORT_RANGE, _DPORT_RANGE. */
const selectors = [1, 2, 3, 10, 12, 17, 20, 22, 23, 24] as const;
/** FR_ACT_TO_TBL, RT_TABLE_LOCAL, FIB_RULE_INVERT, RTPROT_KERNEL. */
const [toTable, localTable, inverted, kernelProtocol] = [1, 255, 2, 2];

export interface RoutingRule {
  readonly preference: number;
  /** `l3mdev` and `local` are those that hold for every packet. */
  readonly kind: "l3mdev" | "local" | "other";
  /** Who made it: RTPROT_*. */
  readonly protocol: number;
  readonly table: number;
  readonly input?: string | undefined;
  readonly output?: string | undefined;
}

/** The families of IP that this kernel has. */
export const families = (): Family[] => (hasIpv6() ? ["ipv4", "ipv6"] : ["ipv4"]);

/** In the order in which the kernel asks them. */
export function readRules(family: Family): RoutingRule[] {
  try {
    return readRuleMessages(family, toRule);
  } catch (error) {
    if (error instanceof BpfError && error.code === "EOPNOTSUPP") return []; // a kernel without rules of that family
    throw error;
  }
}

/** `struct fib_rule_hdr`: at 4 the table if it is below 256, at 7 the action, at 8 the flags. */
function toRule(header: Buffer, attributes: Attributes): RoutingRule {
  const table = attributes.u32(ofRule.table) ?? header.readUInt8(4);
  const isForAll =
    (hostU32(header, 8) & inverted) === 0 && selectors.every((selector) => attributes.bytes(selector) === undefined);
  const isL3mdev = isForAll && (attributes.bytes(ofRule.l3mdev)?.[0] ?? 0) !== 0;
  const isLocal = isForAll && table === localTable && header.readUInt8(7) === toTable;
  return {
    preference: attributes.u32(ofRule.preference) ?? 0,
    kind: isL3mdev ? "l3mdev" : isLocal ? "local" : "other",
    protocol: attributes.bytes(ofRule.protocol)?.[0] ?? 0,
    table,
    input: attributes.text(ofRule.input),
    output: attributes.text(ofRule.output),
  };
}

export function ruleOrderOf(rules: readonly RoutingRule[]): RuleOrder {
  const l3mdev = firstOf(rules, "l3mdev");
  const local = firstOf(rules, "local");
  const areFirst = [l3mdev, local].every((at) => rules[at]?.preference === preferences.ours);
  return areFirst && l3mdev < local ? "tenants first" : "kernel's";
}

const firstOf = (rules: readonly RoutingRule[], wanted: RoutingRule["kind"]) =>
  rules.findIndex(({ kind }) => kind === wanted);

/** Versions before put the local table there, under a protocol of their own. */
const isOlder = ({ kind, protocol }: RoutingRule) => kind === "local" && protocol === routeProtocol;

export const readRuleOrders = (): Map<Family, RuleOrder> =>
  new Map(families().map((family) => [family, ruleOrderOf(readRules(family))]));

/**
 * Rules of somebody else that a tenant's packets meet before the one that leads to its tables.
 *
 * @param isTenants whether a device is a tenant's
 */
export function rulesInFront(rules: readonly RoutingRule[], isTenants: (device: string) => boolean): RoutingRule[] {
  const l3mdev = rules.findIndex(({ kind }) => kind === "l3mdev");
  return rules
    .slice(0, Math.max(l3mdev, 0))
    .filter(
      ({ kind, input, output }) =>
        kind === "other" && output === undefined && (input === undefined || isTenants(input)),
    );
}

/**
 * At no time are the gateway's own addresses unknown. Rules are called the kernel's, for some who keep routing rules
 * (systemd-networkd) remove all others'.
 */
export async function putTenantsFirst(family: Family): Promise<void> {
  const rules = readRules(family);
  const add = (preference: number, rule: string) => `rule add pref ${preference} ${rule} protocol ${kernelProtocol}`;
  const has = (preference: number, kind: RoutingRule["kind"]) =>
    rules.some((rule) => rule.kind === kind && rule.preference === preference);
  const isInOrder = ruleOrderOf(rules) === "tenants first";
  const inOrder = [
    ...(has(preferences.meanwhile, "local") ? [] : [add(preferences.meanwhile, "table local")]),
    ...(has(preferences.ours, "local") ? [`rule del pref ${preferences.ours} table local`] : []),
    add(preferences.ours, "table local"),
  ];
  await batch(
    [
      ...(has(preferences.ours, "l3mdev") ? [] : [add(preferences.ours, "l3mdev")]),
      ...(isInOrder ? [] : [...inOrder, `rule del pref ${preferences.meanwhile} table local`]),
      ...rules.filter(isOlder).map(({ preference }) => `rule del pref ${preference} table local`),
    ],
    family,
  );
}

/**
 * As the kernel makes them, and never without a rule for the machine's own addresses. Where somebody has one further back, as
 * behind the VRFs' of their own, that one is it: in front of it there was none.
 */
export async function putBack(family: Family): Promise<void> {
  const rules = readRules(family);
  if (rules.length === 0 && family === "ipv6") return; // a kernel without rules of that family
  const hasFirst = rules.some(({ kind, preference }) => kind === "local" && preference === preferences.ours);
  const hasOther = rules.some(
    (rule) => rule.kind === "local" && rule.preference > preferences.meanwhile && !isOlder(rule),
  );
  await batch(
    [
      ...(hasFirst || hasOther ? [] : [`rule add pref ${preferences.ours} table local protocol ${kernelProtocol}`]),
      ...rules.flatMap((rule) => {
        const isOurs = rule.preference === preferences.ours;
        if (rule.kind === "l3mdev") return isOurs ? [`rule del pref ${rule.preference} l3mdev`] : [];
        const isLeft = rule.preference === preferences.meanwhile || isOlder(rule) || (isOurs && hasOther);
        return rule.kind === "local" && isLeft ? [`rule del pref ${rule.preference} table local`] : [];
      }),
    ],
    family,
  );
}
