/** A record of a monitor's ring (struct xgw_monitor_event of bpf/shared.h) in words. */

import { readCount, readU16, readU32 } from "../datapath/layout.js";
import { reasons } from "../datapath/reasons.js";
import { protocolName } from "../flow/filter.js";
import { ruleOf } from "../flow/line.js";
import type { Named } from "../flow/list.js";
import type { DescribeRule } from "../flow/show.js";
import { formatAddress } from "../model/ipv4.js";
import type { Happened } from "./schema.js";

/** Bytes from the start of the record. */
const at = {
  ...{ time: 0, saddr: 8, daddr: 12, sport: 16, dport: 18, realm: 20, protocol: 24, tenant: 28, peer: 32 },
  ...{ kind: 36, reason: 38, mark: 40, length: 48, captured: 52, link: 54, packet: 56 },
} as const;

/** enum xgw_event_kind */
const kinds = [undefined, "flow_born", "flow_died", "drop", "kernel_drop"] as const;

/** The first bytes of a packet. */
export interface Captured {
  readonly link: "ethernet" | "ip";
  /** Bytes of all of it. */
  readonly length: number;
  readonly bytes: Buffer;
}

export interface Seen {
  readonly event: Happened;
  /** Of drops, where it could be read. */
  readonly packet?: Captured;
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
}

export interface Naming {
  readonly tenants: ReadonlyMap<number, Named>;
  readonly describeRule: DescribeRule;
  /** Names of the kernel's own reasons. */
  readonly kernelReasons: ReadonlyMap<number, string>;
  /** What to add to CLOCK_MONOTONIC for nanoseconds since 1970. */
  readonly epochNs: bigint;
}

export function readEvent(record: Buffer, { tenants, describeRule, kernelReasons, epochNs }: Naming): Seen {
  const timeNs = BigInt(readCount(record, at.time)) + epochNs;
  const kind = kinds[readU16(record, at.kind)] ?? "drop";
  const tenant = tenants.get(readU32(record, at.tenant / 4));
  const peer = record.readUInt32BE(at.peer);
  const packet = capturedOf(record);
  const mark = readU32(record, at.mark / 4);
  const isDenied = kind === "drop" || mark >>> 31 === 1; // of a connection that a rule has admitted, it is not the rule that drops
  const rule = isDenied ? ruleOf(mark) : undefined;
  const number = readU16(record, at.reason);
  const event: Happened = {
    time: isoTime(timeNs),
    kind,
    reason: (kind === "kernel_drop" ? kernelReasons.get(number) : reasons[number]?.name) ?? `#${number}`,
    ...(tenant ? { tenant: tenant.name } : {}),
    key: readU32(record, at.realm / 4),
    protocol: protocolName(record.readUInt8(at.protocol)),
    source: formatAddress(record.readUInt32BE(at.saddr)),
    sourcePort: record.readUInt16BE(at.sport),
    destination: formatAddress(record.readUInt32BE(at.daddr)),
    destinationPort: record.readUInt16BE(at.dport),
    ...(peer === 0 ? {} : { peer: formatAddress(peer) }),
    ...(rule ? { rule: { ...rule, ...(tenant ? describeRule(tenant.key, rule) : {}) } } : {}),
    ...(kind === "drop" || kind === "kernel_drop" ? { bytes: readU32(record, at.length / 4) } : {}),
  };
  return { event, timeNs, ...(packet ? { packet } : {}) };
}

const links = [undefined, "ethernet", "ip"] as const;

function capturedOf(record: Buffer): Captured | undefined {
  const link = links[record.readUInt8(at.link)];
  if (!link) return undefined;
  const bytes = record.subarray(at.packet, at.packet + readU16(record, at.captured));
  return { link, length: readU32(record, at.length / 4), bytes };
}

/** With microseconds. */
export function isoTime(timeNs: bigint): string {
  const micros = String((timeNs / 1000n) % 1000n).padStart(3, "0");
  return new Date(Number(timeNs / 1_000_000n)).toISOString().replace("Z", `${micros}Z`);
}
