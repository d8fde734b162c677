/**
 * A packet in layers that can be spoiled one by one before it is written down: what is not spoiled on purpose (lengths,
 * checksums) is made right at the end.
 */

import { checksum, ipBytes, macBytes } from "../../test/bpf/support/packet.js";

export type Wrap = "gretap" | "gre" | "plain";
export type Protocol = "tcp" | "udp";

/** How a packet of one side of a connection reaches the gateway. */
export interface Way {
  /** Index of the cable. */
  readonly wire: number;
  readonly wrap: Wrap;
  readonly sourceMac: string;
  readonly gatewayMac: string;
  /** 802.1Q or 802.1ad tags, outermost first: EtherType and tag. */
  readonly vlans: readonly (readonly [type: number, tag: number])[];
  /** Of a tunnel. */
  readonly tunnel?: {
    readonly endpoint: string;
    readonly gateway: string;
    readonly key: number;
    /** Of a gretap tunnel: source and destination of the inner Ethernet header. */
    readonly macs?: readonly [source: string, destination: string];
  };
}

/** A tuple as it arrives. */
export interface Tuple {
  readonly protocol: Protocol;
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
}

export interface Draft {
  eth: Buffer;
  /** Bytes between the MACs' end and the EtherType. */
  vlans: Buffer;
  /** EtherType of a packet that is not tunnelled. */
  type: number;
  /** Empty where the packet is not tunnelled. */
  outer: Buffer;
  gre: Buffer;
  /** Inner Ethernet, VLAN tags included; empty but for gretap. */
  innerEth: Buffer;
  /** Empty for what is no IPv4 packet; all of that is payload. */
  ip: Buffer;
  /** TCP or UDP header; empty for other protocols. */
  header: Buffer;
  payload: Buffer;
  /** Behind the inner IP packet, in the tunnel. */
  innerPadding: Buffer;
  /** Behind the outer IP packet. */
  padding: Buffer;
  /** Bytes missing at the end of the frame. */
  cut: number;
  /** What is left wrong on purpose. */
  readonly spoiled: Set<Spoilt>;
  readonly protocol: Protocol | "other";
}

export type Spoilt =
  | "outer length"
  | "outer checksum"
  | "inner length"
  | "inner checksum"
  | "transport checksum"
  | "udp length"
  | "gre checksum";

const etherTypeIp = 0x0800;
const etherTypeBridged = 0x6558;

/** A packet of a connection, with nothing odd about it: TTL 64, DF, TOS 0, ACK. */
export function draftOf(way: Way, tuple: Tuple, payload: Buffer): Draft {
  const ip = ipHeader(tuple.src, tuple.dst, tuple.protocol === "tcp" ? 6 : 17);
  const header = Buffer.alloc(tuple.protocol === "tcp" ? 20 : 8);
  header.writeUInt16BE(tuple.sport, 0);
  header.writeUInt16BE(tuple.dport, 2);
  if (tuple.protocol === "tcp") {
    header.writeUInt32BE(1, 4);
    header.writeUInt32BE(1, 8);
    header.writeUInt16BE(0x5010, 12);
    header.writeUInt16BE(0xffff, 14);
  }
  return draftAround(way, { ip, header, payload, protocol: tuple.protocol });
}

/** What is to be sent, whatever it is. */
export type Content = Pick<Draft, "ip" | "header" | "payload" | "protocol"> & Partial<Pick<Draft, "type">>;

/** @param content of IPv4 unless it has a type */
export function draftAround(way: Way, { type: innerType = etherTypeIp, ...content }: Content): Draft {
  const { tunnel, wrap } = way;
  const eth = Buffer.concat([macBytes(way.gatewayMac), macBytes(way.sourceMac)]);
  const gre = Buffer.alloc(tunnel ? 8 : 0);
  if (tunnel) {
    gre.writeUInt16BE(0x2000, 0);
    gre.writeUInt16BE(wrap === "gretap" ? etherTypeBridged : innerType, 2);
    gre.writeUInt32BE(tunnel.key, 4);
  }
  const macs = tunnel?.macs;
  const type = Buffer.from([innerType >> 8, innerType & 0xff]);
  return {
    eth,
    vlans: Buffer.concat(way.vlans.map(([tagType, tag]) => Buffer.from([tagType >> 8, tagType, tag >> 8, tag]))),
    type: tunnel ? etherTypeIp : innerType,
    outer: tunnel ? ipHeader(tunnel.endpoint, tunnel.gateway, 47) : Buffer.alloc(0),
    gre,
    innerEth: macs ? Buffer.concat([macBytes(macs[1]), macBytes(macs[0]), type]) : Buffer.alloc(0),
    ...content,
    innerPadding: Buffer.alloc(0),
    padding: Buffer.alloc(0),
    cut: 0,
    spoiled: new Set(),
  };
}

/** TTL 64, DF, TOS 0, without options. */
export function ipHeader(src: string, dst: string, protocol: number): Buffer {
  const header = Buffer.from([0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0]);
  return Buffer.concat([header, ipBytes(src), ipBytes(dst)]);
}

/** The frame: lengths and checksums made right where they are not spoiled. */
export function frameOf(draft: Draft): Buffer {
  const { spoiled, ip, header, payload, outer, gre, innerEth } = draft;
  const segment = header.length + payload.length;
  if (ip.length > 0 && !spoiled.has("inner length")) ip.writeUInt16BE(ip.length + segment, 2);
  if (ip.length > 0 && !spoiled.has("inner checksum")) setIpChecksum(ip);
  if (draft.protocol === "udp" && !spoiled.has("udp length")) header.writeUInt16BE(segment, 4);
  if (draft.protocol !== "other" && !spoiled.has("transport checksum")) setTransportChecksum(draft);
  const inner = Buffer.concat([innerEth, ip, header, payload, draft.innerPadding]);
  if (gre.length > 0 && (gre[0] ?? 0) & 0x80 && !spoiled.has("gre checksum")) {
    gre.writeUInt16BE(0, 4);
    gre.writeUInt16BE(checksum(gre, inner), 4);
  }
  if (outer.length > 0) {
    if (!spoiled.has("outer length")) outer.writeUInt16BE(outer.length + gre.length + inner.length, 2);
    if (!spoiled.has("outer checksum")) setIpChecksum(outer);
  }
  const type = Buffer.from([draft.type >> 8, draft.type & 0xff]);
  const frame = Buffer.concat([draft.eth, draft.vlans, type, outer, gre, inner, draft.padding]);
  return frame.subarray(0, Math.max(15, frame.length - draft.cut));
}

export function setIpChecksum(header: Buffer): void {
  header.writeUInt16BE(0, 10);
  header.writeUInt16BE(checksum(header), 10);
}

/** Also of a fragment, as if it were whole: what it is in the middle of does not matter to the gateway. */
export function setTransportChecksum({ ip, header, payload, protocol }: Draft): void {
  const at = protocol === "tcp" ? 16 : 6;
  const length = header.length + payload.length;
  const pseudo = Buffer.concat([
    ip.subarray(12, 20),
    Buffer.from([0, protocol === "tcp" ? 6 : 17, length >> 8, length]),
  ]);
  header.writeUInt16BE(0, at);
  // What is summed ends at an even offset, so that the payload's odd byte is the last.
  const sum = checksum(pseudo, header, payload);
  header.writeUInt16BE(protocol === "udp" ? sum || 0xffff : sum, at);
}
