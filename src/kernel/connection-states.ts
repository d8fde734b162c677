/** The kernel's connections with what it thinks of them, by ctnetlink: numbers are big-endian. */

import { type Attributes, attribute, BpfError, NetlinkSocket } from "libbpf-ts";
import { be32 } from "../bytes.js";
import { parseAddress } from "../model/ipv4.js";
import type { Connection, ConnectionTuple } from "../plan/admission.js";
import {
  attributes as common,
  ipAttributes,
  messages,
  protocolAttributes,
  readAs,
  toConnection,
  tupleAttributes,
  zoneAttribute,
} from "./conntrack.js";
import { nest, netfilter, ofIpv4 } from "./netfilter.js";

/** Enum ctattr_type, and what lies in some of them. */
const attributes = { status: 3, protocolInfo: 4, helper: 5, timeout: 7, original: 9, reply: 10 } as const;
const tcpInfo = 1;
const tcpState = 1;
const helperName = 1;
const counterAttributes = { packets: 1, bytes: 2 } as const;

/** Bits of enum ip_conntrack_status (linux/netfilter/nf_conntrack_common.h). */
export const statusBits = {
  seenReply: 1 << 1,
  assured: 1 << 2,
  sourceNat: 1 << 4,
  destinationNat: 1 << 5,
  sequenceAdjusted: 1 << 6,
  dying: 1 << 9,
  natClash: 1 << 12,
  helper: 1 << 13,
  offload: 1 << 14,
} as const;

/** Enum tcp_conntrack (nf_conntrack_tcp.h). */
const tcpStates = [
  ...["NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"],
  "SYN_SENT2",
];

/** What conntrack has counted of one direction, where the kernel counts (net.netfilter.nf_conntrack_acct). */
export interface DirectionCount {
  readonly packets: number;
  readonly bytes: number;
}

export interface ConnectionState extends Connection {
  readonly status: number;
  /** Seconds until it ends; missing while the flowtable carries it. */
  readonly timeout?: number;
  /** Such as `ESTABLISHED`; missing for other protocols, and while the flowtable carries it. */
  readonly tcpState?: string;
  /** Such as `ftp`. */
  readonly helper?: string;
  readonly counted?: { readonly original: DirectionCount; readonly reply: DirectionCount };
}

/** @param zones theirs; all when not given */
export const readConnectionStates = (zones?: ReadonlySet<number>): Generator<ConnectionState> => readAs(toState, zones);

/** The connection of which one direction's packets have this tuple; undefined: there is none. */
export function findConnectionState(
  zone: number,
  protocol: number,
  tuple: ConnectionTuple,
): ConnectionState | undefined {
  using socket = new NetlinkSocket(netfilter);
  const body = Buffer.concat([ofIpv4, tupleAttribute(protocol, tuple), zoneAttribute(zone)]);
  try {
    return toState(socket.get({ type: messages.get, body }, ofIpv4.length).attributes);
  } catch (error) {
    if (error instanceof BpfError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function toState(all: Attributes): ConnectionState {
  const { name: _, ...connection } = toConnection(all);
  const state = all.nested(attributes.protocolInfo)?.nested(tcpInfo)?.u8(tcpState);
  const helper = all.nested(attributes.helper)?.text(helperName);
  const timeout = all.bytes(attributes.timeout)?.readUInt32BE();
  const [original, reply] = [counted(all.nested(attributes.original)), counted(all.nested(attributes.reply))];
  return {
    ...connection,
    status: all.bytes(attributes.status)?.readUInt32BE() ?? 0,
    ...(timeout === undefined ? {} : { timeout }),
    ...(state === undefined ? {} : { tcpState: tcpStates[state] ?? `state ${state}` }),
    ...(helper === undefined ? {} : { helper }),
    ...(original && reply ? { counted: { original, reply } } : {}),
  };
}

function counted(counters: Attributes | undefined): DirectionCount | undefined {
  const [packets, bytes] = [counters?.bytes(counterAttributes.packets), counters?.bytes(counterAttributes.bytes)];
  return packets && bytes
    ? { packets: Number(packets.readBigUInt64BE()), bytes: Number(bytes.readBigUInt64BE()) }
    : undefined;
}

const addressBytes = (address: string): Buffer => be32(parseAddress(address) ?? 0);

function tupleAttribute(protocol: number, tuple: ConnectionTuple): Buffer {
  const port = (value: number) => {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(value);
    return bytes;
  };
  return nest(
    common.original,
    nest(
      tupleAttributes.ip,
      attribute(ipAttributes.source, addressBytes(tuple.source)),
      attribute(ipAttributes.destination, addressBytes(tuple.destination)),
    ),
    nest(
      tupleAttributes.protocol,
      attribute(protocolAttributes.number, Buffer.from([protocol])),
      attribute(protocolAttributes.sourcePort, port(tuple.sourcePort)),
      attribute(protocolAttributes.destinationPort, port(tuple.destinationPort)),
    ),
  );
}
