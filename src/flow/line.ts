/** A copied line of the flow table in words. */

import { flowOffsets } from "../datapath/flow-table.js";
import { addressBytes, readU16, readU32 } from "../datapath/layout.js";
import { formatAddress } from "../model/ipv4.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { ruleOfMark } from "../plan/rules.js";
import type { Nat, Rule } from "./schema.js";

const tupleAt = (line: Buffer, addresses: number, ports: number): ConnectionTuple => ({
  source: formatAddress(line.readUInt32BE(addresses)),
  sourcePort: line.readUInt16BE(ports),
  destination: formatAddress(line.readUInt32BE(addresses + 4)),
  destinationPort: line.readUInt16BE(ports + 2),
});

export const arrivesAs = (line: Buffer): ConnectionTuple => tupleAt(line, flowOffsets.keySaddr, flowOffsets.keyPorts);

export const leavesAs = (line: Buffer): ConnectionTuple => tupleAt(line, flowOffsets.saddr, flowOffsets.ports);

/** The tuple of what comes back. */
export const turnedRound = ({
  source,
  sourcePort,
  destination,
  destinationPort,
}: ConnectionTuple): ConnectionTuple => ({
  source: destination,
  sourcePort: destinationPort,
  destination: source,
  destinationPort: sourcePort,
});

export const isSame = (a: ConnectionTuple, b: ConnectionTuple): boolean =>
  a.source === b.source &&
  a.sourcePort === b.sourcePort &&
  a.destination === b.destination &&
  a.destinationPort === b.destinationPort;

export const packetsOf = (line: Buffer): number => readU32(line, flowOffsets.packets / 4);

export const countOf = (line: Buffer) => ({
  packets: packetsOf(line),
  bytes: readU16(line, flowOffsets.bytesHigh) * 2 ** 32 + readU32(line, flowOffsets.bytesLow / 4),
});

/** What is translated, by what arrives in each direction. */
export function natOf(original: ConnectionTuple, reply: ConnectionTuple): Nat {
  const isSource = original.source !== reply.destination || original.sourcePort !== reply.destinationPort;
  const isDestination = original.destination !== reply.source || original.destinationPort !== reply.sourcePort;
  if (isSource) return isDestination ? "both" : "snat";
  return isDestination ? "dnat" : "none";
}

export function ruleOf(mark: number): Rule | undefined {
  const rule = ruleOfMark(mark);
  return rule && { direction: rule.direction, rule: rule.rule };
}

/** For spreading into an object: a rule, where a mark names one. */
export function ruleField(mark: number): { readonly rule?: Rule } {
  const rule = ruleOf(mark);
  return rule ? { rule } : {};
}

/** A tuple as it lies in keys of maps: struct xgw_tuple, 16 bytes. */
export function tupleBytes(protocol: number, tuple: ConnectionTuple): Buffer {
  const bytes = Buffer.alloc(16);
  addressBytes(tuple.source).copy(bytes, 0);
  addressBytes(tuple.destination).copy(bytes, 4);
  bytes.writeUInt16BE(tuple.sourcePort, 8);
  bytes.writeUInt16BE(tuple.destinationPort, 10);
  bytes[12] = protocol;
  return bytes;
}
