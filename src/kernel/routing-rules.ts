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

/** Where xgw puts the rules: the kernel's own place for l3mdev, and behind it, before the main table (32766). */
const preferences = { l3mdev: 1000, local: 32_765 } as const;

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

/** Behind it, a route of the main table to one of the gateway's own addresses would come first. */
const isBeforeMain = ({ preference }: RoutingRule) => preference <= preferences.local;

export function ruleOrderOf(rules: readonly RoutingRule[]): RuleOrder {
  const l3mdev = rules.findIndex(({ kind }) => kind === "l3mdev");
  const local = rules.findIndex((rule) => rule.kind === "local" && isBeforeMain(rule));
  const isInPlace = l3mdev >= 0 && (rules[l3mdev]?.preference ?? 0) <= preferences.l3mdev;
  return isInPlace && local > l3mdev ? "tenants first" : "kernel's";
}

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

/** What is missing is added before what is in the way goes: at no time are the gateway's own addresses unknown. */
export async function putTenantsFirst(family: Family): Promise<void> {
  const rules = readRules(family);
  const at = rules.findIndex(({ kind, preference }) => kind === "l3mdev" && preference <= preferences.l3mdev);
  const inFront = (index: number) => at < 0 || index < at;
  const hasLocalBehind = rules.some(
    (rule) => rule.kind === "local" && rule.preference > preferences.l3mdev && isBeforeMain(rule),
  );
  await batch(
    [
      // As the kernel makes it, or it would add another one with the first VRF.
      ...(at < 0 ? [`rule add pref ${preferences.l3mdev} l3mdev protocol ${kernelProtocol}`] : []),
      ...(hasLocalBehind ? [] : [`rule add pref ${preferences.local} table local protocol ${routeProtocol}`]),
      ...rules.flatMap(({ kind, preference }, index) =>
        kind === "local" && preference <= preferences.l3mdev && inFront(index)
          ? [`rule del pref ${preference} table local`]
          : [],
      ),
    ],
    family,
  );
}

/** As the kernel makes them, unless the order is not of our making. */
export async function putBack(family: Family): Promise<void> {
  const rules = readRules(family);
  const ours = rules.filter(({ kind, protocol }) => kind === "local" && protocol === routeProtocol);
  if (ours.length === 0) return;
  const hasFirst = rules.some(({ kind, preference }) => kind === "local" && preference === 0);
  await batch(
    [
      ...(hasFirst ? [] : [`rule add pref 0 table local protocol ${kernelProtocol}`]),
      ...ours.map(({ preference }) => `rule del pref ${preference} table local`),
    ],
    family,
  );
}
