/** Records of the monitors' rings: struct xgw_packet_event of bpf/shared.h. */

import { formatAddress } from "../model/ipv4.js";
import { readU16, readU32, readU64 } from "./layout.js";

/** Offsets in struct xgw_event; a test compares them with the programs' types. */
export const eventOffsets = {
  time: 0,
  location: 8,
  key: 16,
  tenant: 36,
  peer: 40,
  kind: 44,
  reason: 46,
  mark: 48,
  ifindex: 52,
  length: 56,
  captured: 60,
  link: 62,
  flags: 63,
} as const;
/** Of the struct; the packet's bytes are behind. */
export const eventBytes = 64;

/** Enum xgw_event_kind, by number. */
const kinds = [undefined, "born", "died", "drop", "kernel_drop"] as const;
/** Enum xgw_wrap. */
const wraps = ["gretap", "gre", "plain"] as const;
/** XGW_EVENT_ARRIVING */
const arrivingFlag = 1;
const links = ["ethernet", "ip"] as const;

export interface RawEvent {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly timeNs: bigint;
  readonly kind: "born" | "died" | "drop" | "kernel_drop";
  /** Enum xgw_reason; of a drop by the kernel its own number (enum skb_drop_reason). */
  readonly reason: number;
  /** Id; 0: nobody's. */
  readonly tenant: number;
  /** As far as it was read: 0.0.0.0 and 0 otherwise. */
  readonly tuple: {
    readonly source: string;
    readonly sourcePort: number;
    readonly destination: string;
    readonly destinationPort: number;
  };
  /** Of the IP header; 0: not read. */
  readonly protocol: number;
  readonly wrap: "gretap" | "gre" | "plain";
  /** GRE key; 0 for plain packets. */
  readonly realm: number;
  /** The outer source; undefined where there is none. */
  readonly peer?: string;
  /** Conntrack's mark, which names the rule; 0: none. */
  readonly mark: number;
  readonly ifindex: number;
  /** Dropped by the kernel on the device that it came in by. */
  readonly isArriving: boolean;
  /** Of a drop by the kernel: address of the code. */
  readonly location: bigint;
  /** Of a drop: the packet as it was seen, and its length, of which there may be fewer bytes. */
  readonly packet?: { readonly link: "ethernet" | "ip"; readonly length: number; readonly bytes: Buffer };
}

/** Undefined: another version's, which this one does not know. */
export function decodeEvent(record: Buffer): RawEvent | undefined {
  const at = eventOffsets;
  const kind = kinds[readU16(record, at.kind)];
  if (kind === undefined || record.length < eventBytes) return undefined;
  const captured = readU16(record, at.captured);
  const peer = record.readUInt32BE(at.peer);
  const bytes = record.subarray(eventBytes, eventBytes + captured);
  const link = links[record[at.link] ?? 0] ?? "ethernet";
  const length = readU32(record, at.length / 4);
  return {
    timeNs: readU64(record, at.time),
    kind,
    reason: readU16(record, at.reason),
    tenant: readU32(record, at.tenant / 4),
    tuple: {
      source: formatAddress(record.readUInt32BE(at.key)),
      sourcePort: record.readUInt16BE(at.key + 8),
      destination: formatAddress(record.readUInt32BE(at.key + 4)),
      destinationPort: record.readUInt16BE(at.key + 10),
    },
    realm: readU32(record, (at.key + 12) / 4),
    protocol: record[at.key + 16] ?? 0,
    wrap: wraps[record[at.key + 17] ?? 0] ?? "plain",
    ...(peer === 0 ? {} : { peer: formatAddress(peer) }),
    mark: readU32(record, at.mark / 4),
    ifindex: readU32(record, at.ifindex / 4),
    isArriving: ((record[at.flags] ?? 0) & arrivingFlag) !== 0,
    location: readU64(record, at.location),
    ...(captured > 0 ? { packet: { link, length, bytes } } : {}),
  };
}
