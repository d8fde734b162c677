/** A record of the programs' in words: names, reasons, the rule with its place in the config. */

import { dropReason } from "../datapath/drop-reasons.js";
import type { RawEvent } from "../datapath/raw-event.js";
import { reasons } from "../datapath/reasons.js";
import { protocolName } from "../flow/filter.js";
import { ruleOf } from "../flow/line.js";
import type { DescribeRule } from "../flow/show.js";
import { nobody } from "../model/desired.js";
import { nftVerdict } from "./nft-verdict.js";
import type { MonitorEvent, MonitorRule } from "./schema.js";

export interface Subject {
  /** Name and GRE key of a tenant's id; undefined: no tenant of this instance has it. */
  tenantOf(id: number): { readonly name: string; readonly key: number } | undefined;
  readonly describeRule: DescribeRule;
  deviceOf(ifindex: number): string | undefined;
}

/** Deaths after which the connection goes on, and is decided anew. */
const redecided: readonly string[] = ["generation", "template"];

/** Undefined: it is none of this instance's. */
export function describeEvent(raw: RawEvent, subject: Subject): MonitorEvent | undefined {
  const tenant = subject.tenantOf(raw.tenant);
  if (raw.tenant !== nobody && !tenant) return undefined;
  const whose = tenant
    ? { tenant: tenant.name, key: tenant.key }
    : raw.wrap === "plain" || raw.realm === 0
      ? {}
      : { key: raw.realm };
  const time = wallTime(raw.timeNs);
  const packet = { protocol: protocolName(raw.protocol), ...raw.tuple };
  const known = reasons[raw.reason];
  if (raw.kind === "born" || raw.kind === "died") {
    const arrivesBy = raw.wrap;
    if (raw.kind === "born")
      return { kind: "flow_born", time, ...whose, reason: "learned", meaning: bornMeaning, packet, arrivesBy };
    const reason = known?.name ?? String(raw.reason);
    const kind = redecided.includes(reason) ? "flow_redecided" : "flow_died";
    return { kind, time, ...whose, reason, meaning: known?.meaning ?? "", packet, arrivesBy };
  }
  const device = subject.deviceOf(raw.ifindex);
  const rule = ruleField(raw.mark, tenant?.key, subject.describeRule);
  const rest = {
    ...rule,
    ...(raw.protocol === 0 && raw.tuple.source === "0.0.0.0" ? {} : { packet }),
    ...(raw.peer === undefined ? {} : { endpoint: raw.peer }),
    ...(device === undefined ? {} : { device }),
    bytes: raw.packet?.length ?? 0,
  };
  if (raw.kind === "drop") {
    const { name: reason = String(raw.reason), meaning } = known ?? {};
    return { kind: "drop", time, ...whose, by: "xgw", reason, ...(meaning ? { meaning } : {}), ...rest };
  }
  const reason = dropReason(raw.reason);
  const verdict =
    reason === "netfilter_drop"
      ? nftVerdict({
          ...{ isTunnelled: raw.peer !== undefined, isArriving: raw.isArriving, device },
          ...{ protocol: raw.protocol, mark: raw.mark },
        })
      : undefined;
  return { kind: "drop", time, ...whose, by: "kernel", reason, ...(verdict ? { verdict } : {}), ...rest };
}

const bornMeaning = "XDP carries it from now on";

function ruleField(mark: number, key: number | undefined, describeRule: DescribeRule): { readonly rule?: MonitorRule } {
  const rule = ruleOf(mark);
  if (!rule) return {};
  return { rule: { ...rule, ...(key === undefined ? {} : describeRule(key, rule)) } };
}

/** Of CLOCK_MONOTONIC, in UTC to the microsecond: `2026-12-01T05:17:21.123456Z`. */
export function wallTime(monotonicNs: bigint): string {
  const agoNs = process.hrtime.bigint() - monotonicNs;
  return isoMicroseconds(BigInt(Date.now()) * 1000n - agoNs / 1000n);
}

/** @param us since 1970 */
export function isoMicroseconds(us: bigint): string {
  const iso = new Date(Number(us / 1000n)).toISOString();
  return `${iso.slice(0, -1)}${String(us % 1000n).padStart(3, "0")}Z`;
}
