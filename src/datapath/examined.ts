/** What XDP's functions have said of a packet: struct xgw_examined of bpf/examine.bpf.c. */

import { formatAddress } from "../model/ipv4.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { readU32 } from "./layout.js";
import { reasons } from "./reasons.js";

/** Enum xgw_answer: not every question is asked of every packet. */
export type Answer = "unasked" | "no" | "yes";
const answers: readonly Answer[] = ["unasked", "no", "yes"];
export const isYes = (answer: Answer): boolean => answer === "yes";

/** Enum beginning, of bpf/lib/policy.h. */
const beginnings = ["none", "picked_up", "first_packet"] as const;

/** Enum xgw_wrap. */
export const wraps = ["gretap", "gre", "plain"] as const;

export interface ExaminedPacket {
  /** struct xgw_flow_key, 20 bytes; as much of it as was parsed. */
  readonly keyBytes: Buffer;
  readonly wrap: (typeof wraps)[number];
  /** GRE key; 0 of a plain packet. */
  readonly realm: number;
  readonly protocol: number;
  readonly tuple: ConnectionTuple;
  /** Dotted quad; 0.0.0.0 of a plain packet. */
  readonly peer: string;
  /** ifindex of the NIC that it came in by. */
  readonly nic: number;
  /** Of the inner IP packet, bytes; 0: none was found. */
  readonly offset: number;
  readonly length: number;
  /** A name of `reasons`: why no more was parsed; `forwarded`: all was. */
  readonly parsed: string;
  /** Id; 0: nobody's. */
  readonly tenant: number;
  readonly zone: number;
  readonly generation: number;
  /** Of conntrack, by the policy, if this were a connection's first packet; where it would go then. */
  readonly mark: number;
  readonly destination: string;
  /** Of the flow's template: where the kernel's look-up leads now; 0 and 0.0.0.0: nowhere. */
  readonly wayIfindex: number;
  readonly wayNextHop: string;
  /** ifindex of the tunnel that the template leads into. */
  readonly wayTunnel: number;
  /** Jiffies, the lower 32 bits; of a packet that has a flow. */
  readonly now: number;
  readonly beginning: (typeof beginnings)[number];
  readonly isPeer: Answer;
  readonly hasPolicy: Answer;
  readonly hasQuota: Answer;
  readonly isKnown: Answer;
  readonly isRouted: Answer;
  readonly hasFlow: Answer;
  readonly isDue: Answer;
  readonly hasTemplate: Answer;
  readonly hasMoved: Answer;
  readonly lives: Answer;
}

/** Offsets in the struct: of words, and of the bytes behind them. */
const answersAt = 76;

export function readExamined(bytes: Buffer): ExaminedPacket {
  const word = (offset: number) => readU32(bytes, offset / 4);
  const address = (offset: number) => formatAddress(bytes.readUInt32BE(offset));
  const answer = (at: number) => answers[bytes[answersAt + at] ?? 0] ?? "unasked";
  return {
    keyBytes: Buffer.from(bytes.subarray(0, 20)),
    wrap: wraps[bytes[17] ?? 0] ?? "plain",
    realm: word(12),
    protocol: bytes[16] ?? 0,
    tuple: {
      source: address(0),
      destination: address(4),
      sourcePort: bytes.readUInt16BE(8),
      destinationPort: bytes.readUInt16BE(10),
    },
    peer: address(20),
    nic: word(24),
    offset: word(28),
    length: word(32),
    parsed: reasons[word(36)]?.name ?? `reason ${word(36)}`,
    tenant: word(40),
    zone: word(44),
    generation: word(48),
    mark: word(52),
    destination: address(56),
    wayIfindex: word(60),
    wayNextHop: address(64),
    wayTunnel: word(68),
    now: word(72),
    beginning: beginnings[bytes[answersAt] ?? 0] ?? "none",
    isPeer: answer(1),
    hasPolicy: answer(2),
    hasQuota: answer(3),
    isKnown: answer(4),
    isRouted: answer(5),
    hasFlow: answer(6),
    isDue: answer(7),
    hasTemplate: answer(8),
    hasMoved: answer(9),
    lives: answer(10),
  };
}
