/**
 * When two outcomes are the same. What may differ is listed here by name, each with its reason; anything else is a
 * mismatch.
 *
 * The reference is the kernel without the flowtable (tier 3). With the flowtable (tier 2), which is part of the slow path
 * as configured, the kernel itself treats a few packets otherwise: where XDP passed such a packet up, either answer of the
 * kernel is right; where XDP sent it itself, only what the list below names.
 */

import { checksum } from "../../test/bpf/support/packet.js";
import { look, withoutId, withoutInnerPadding } from "../frames/frame.js";
import type { Departure } from "../lab/own-namespace.js";
import type { Packet } from "./packets.js";
import type { Outcome } from "./pass.js";

/** Fields that are not compared. A wrong checksum over them would be seen all the same. */
export const ignoredFields: readonly { readonly name: string; readonly why: string }[] = [
  { name: "outer IP id", why: "the kernel numbers at random; XDP sends 0, as DF allows (RFC 6864, section 4.1)" },
  { name: "IP id of ICMP errors", why: "the gateway's own packets, numbered at random" },
  {
    name: "a TCP checksum of 0xffff",
    why: "the same as 0 to every receiver, and sent by nobody; where nothing is translated the kernel leaves it as it is",
  },
  { name: "ARP", why: "asked and answered by the kernel's own clock; XDP never touches it" },
];

const icmpErrors = [3, 4, 5, 11, 12];

const isIcmpError = (frame: Buffer): boolean => {
  const { ip } = look(frame);
  if (ip === undefined || frame[ip + 9] !== 1) return false;
  return icmpErrors.includes(frame[ip + ((frame[ip] ?? 0) & 15) * 4] ?? 0);
};

/** What left, as text in which the ignored fields are 0. */
export function comparable(left: readonly Departure[]): string {
  return left
    .map(({ wire, frame }) => {
      const { outer, ip } = look(frame);
      let same = outer === undefined ? frame : withoutId(frame, outer);
      if (ip !== undefined && isIcmpError(frame)) same = withoutId(same, ip);
      if (ip !== undefined) same = withoutNegativeZero(same, ip);
      return `${wire} ${same.toString("hex")}`;
    })
    .join("\n");
}

/** Of an unfragmented TCP packet without IP options, which is all that XDP sends. */
function withoutNegativeZero(frame: Buffer, ip: number): Buffer {
  const isTcp = frame[ip] === 0x45 && frame[ip + 9] === 6 && (frame.readUInt16BE(ip + 6) & 0x3fff) === 0;
  if (!isTcp || frame.length < ip + 40 || frame.readUInt16BE(ip + 36) !== 0xffff) return frame;
  const copy = Buffer.from(frame);
  copy.writeUInt16BE(0, ip + 36);
  return copy;
}

export interface Comparison {
  readonly packet: Packet;
  /** The kernel without flowtable and XDP. */
  readonly tier3: Outcome;
  /** The kernel with the flowtable, without XDP. */
  readonly tier2: Outcome;
  /** With XDP. */
  readonly seen: Outcome;
  /** Whether the kernel chooses between several next hops. */
  readonly hasNextHops?: boolean;
}

interface Exception {
  readonly name: string;
  readonly why: string;
  holds(comparison: Comparison, same: Sameness): boolean;
}

interface Sameness {
  readonly tier2: boolean;
  /** But for bytes behind the inner packet, which the flowtable leaves there. */
  readonly trimmedTier2: boolean;
}

const only = (outcome: Outcome, reason: string) =>
  outcome.reasons.length > 0 && outcome.reasons.every((r) => r === reason);

/** Differences that are meant to be. */
export const exceptions: readonly Exception[] = [
  {
    name: "stranger",
    why: "XDP drops what comes from nobody's peer; the kernel has no list of peers and would take it",
    holds: ({ seen }) => only(seen, "stranger") && seen.left.length === 0,
  },
  {
    name: "unknown key",
    why: "XDP drops it in silence; the kernel has no tunnel for it either, and says so by ICMP",
    holds: ({ seen, tier3 }) =>
      only(seen, "unknown_key") && seen.left.length === 0 && tier3.left.every(({ frame }) => isIcmpError(frame)),
  },
  {
    name: "passed up to the flowtable",
    why: "XDP passed it up, and it is the flowtable that treats it otherwise than the rest of the kernel",
    holds: ({ seen }, { tier2 }) => tier2 && !seen.reasons.includes("forwarded"),
  },
  {
    name: "next hop",
    why:
      "of several next hops the flowtable takes another for a connection than the rest of the kernel, and XDP the one " +
      "that it has seen",
    holds: ({ seen, tier3, hasNextHops = false }, { tier2 }) =>
      hasNextHops &&
      tier2 &&
      only(seen, "forwarded") &&
      comparable(withoutNextHop(seen)) === comparable(withoutNextHop(tier3)),
  },
  {
    name: "transport checksum",
    why:
      "conntrack refuses a wrong TCP or UDP checksum, so that the packet ends in the kernel or is answered by an ICMP " +
      "error; the flowtable, as XDP, leaves it to the receiver",
    holds: ({ seen, tier3, packet }, { trimmedTier2 }) => {
      if (!packet.frames.every(hasWrongTransportChecksum)) return false;
      const isRefused = tier3.left.every(({ frame }) => isIcmpError(frame));
      if (only(seen, "policy")) return seen.left.length === 0 && isRefused;
      if (!seen.reasons.includes("forwarded")) return false;
      return trimmedTier2 || (isRefused && isAsWrong(seen.left, packet.frames));
    },
  },
];

/** The first six bytes of a frame. */
const withoutNextHop = ({ left }: Outcome): Departure[] =>
  left.map(({ wire, frame }) => ({ wire, frame: Buffer.from(frame).fill(0, 0, 6) }));

const hasWrongTransportChecksum = (frame: Buffer) => transportError(frame) !== 0;

/** Translation takes nothing from a checksum's error and adds nothing to it, unless more was changed than addresses and ports. */
function isAsWrong(left: readonly Departure[], sent: readonly Buffer[]): boolean {
  const errors = (frames: readonly Buffer[]) => frames.map(transportError).join(" ");
  return errors(left.map(({ frame }) => frame)) === errors(sent);
}

/** By how much the checksum of the packet inside is off, over its whole length; 0 when it is right, or there is none. */
function transportError(frame: Buffer): number {
  const { ip } = look(frame);
  if (ip === undefined) return 0;
  const packet = frame.subarray(ip, ip + frame.readUInt16BE(ip + 2));
  const pseudo = Buffer.concat([
    packet.subarray(12, 20),
    Buffer.from([0, packet[9] ?? 0, (packet.length - 20) >> 8, packet.length - 20]),
  ]);
  return checksum(pseudo, packet.subarray(20));
}

/** "same", the name of an exception, or undefined for a mismatch. */
export function judge(comparison: Comparison): string | undefined {
  const { tier3, tier2, seen } = comparison;
  const left = comparable(seen.left);
  if (left === comparable(tier3.left)) return "same";
  const trimmed = tier2.left.map(({ wire, frame }) => ({ wire, frame: withoutInnerPadding(frame) }));
  const same = { tier2: left === comparable(tier2.left), trimmedTier2: left === comparable(trimmed) };
  return exceptions.find((exception) => exception.holds(comparison, same))?.name;
}
