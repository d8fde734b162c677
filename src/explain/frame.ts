/** A frame as a host would send it: Ethernet, tags, the tunnel's headers and one packet of IPv4, with right checksums. */

import { addressBytes } from "../datapath/layout.js";
import type { ConnectionTuple } from "../plan/admission.js";

/** Bits of the TCP header. */
export const tcpFlags = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;
export type TcpFlag = keyof typeof tcpFlags;

export interface PacketWords {
  readonly protocol: number;
  readonly tuple: ConnectionTuple;
  /** Of TCP. */
  readonly flags: readonly TcpFlag[];
  readonly ttl: number;
  /** Bytes of the IP packet; as few as there can be when missing. */
  readonly length?: number | undefined;
}

export interface OuterWords {
  /** Dotted quads. */
  readonly source: string;
  readonly destination: string;
  readonly key: number;
  /** MAC address of the inner frame's destination; missing where there is none. */
  readonly innerMac?: string | undefined;
}

export interface FrameWords {
  /** MAC address, with colons. */
  readonly destinationMac: string;
  /** VLAN tags, 4 bytes each, the outermost first. */
  readonly tags: Buffer;
  readonly outer?: OuterWords | undefined;
  readonly packet: PacketWords;
}

const numbers = { icmp: 1, tcp: 6, udp: 17, gre: 47 } as const;
const types = { ipv4: 0x0800, bridged: 0x6558 } as const;
const anyMac = Buffer.from("0200000000fe", "hex");

export function frameOf({ destinationMac, tags, outer, packet }: FrameWords): Buffer {
  const inner = packetOf(packet);
  return ethernet(destinationMac, tags, outer ? tunnelled(outer, inner) : inner);
}

function ethernet(mac: string, tags: Buffer, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(mac.replaceAll(":", ""), "hex"), anyMac, tags, be16(types.ipv4), payload]);
}

/** RFC 2784 and RFC 2890, with a key. */
function tunnelled({ source, destination, key, innerMac }: OuterWords, inner: Buffer): Buffer {
  const payload = innerMac === undefined ? inner : ethernet(innerMac, Buffer.alloc(0), inner);
  const type = innerMac === undefined ? types.ipv4 : types.bridged;
  const gre = Buffer.concat([be16(0x2000), be16(type), Buffer.alloc(4), payload]);
  gre.writeUInt32BE(key, 4);
  return ipv4({ source, destination, protocol: numbers.gre, ttl: 64 }, gre);
}

function packetOf({ protocol, tuple, flags, ttl, length }: PacketWords): Buffer {
  const header = protocol === numbers.tcp ? 20 : 8;
  const payload = Buffer.alloc(Math.max(0, (length ?? 0) - 20 - header));
  const segment = Buffer.concat([transport(protocol, tuple, flags, payload.length), payload]);
  const { source, destination } = tuple;
  const pseudo = Buffer.concat([addressBytes(source), addressBytes(destination), be16(protocol), be16(segment.length)]);
  const at = { [numbers.tcp]: 16, [numbers.udp]: 6, [numbers.icmp]: 2 }[protocol];
  if (at !== undefined) {
    const sum = protocol === numbers.icmp ? checksum(segment) : checksum(pseudo, segment);
    segment.writeUInt16BE(sum === 0 && protocol === numbers.udp ? 0xffff : sum, at);
  }
  return ipv4({ source, destination, protocol, ttl }, segment);
}

/** The header; what has no ports is an echo request. */
function transport(protocol: number, tuple: ConnectionTuple, flags: readonly TcpFlag[], payload: number): Buffer {
  const header = Buffer.alloc(protocol === numbers.tcp ? 20 : 8);
  if (protocol === numbers.icmp) {
    header[0] = 8;
    return header;
  }
  header.writeUInt16BE(tuple.sourcePort, 0);
  header.writeUInt16BE(tuple.destinationPort, 2);
  if (protocol === numbers.udp) header.writeUInt16BE(8 + payload, 4);
  if (protocol !== numbers.tcp) return header;
  header.writeUInt32BE(1, 4);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(
    flags.reduce((bits, flag) => bits | tcpFlags[flag], 0),
    13,
  );
  header.writeUInt16BE(0xffff, 14);
  return header;
}

interface Ipv4 {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl: number;
}

function ipv4({ source, destination, protocol, ttl }: Ipv4, payload: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(0x4000, 6); // don't fragment
  header[8] = ttl;
  header[9] = protocol;
  addressBytes(source).copy(header, 12);
  addressBytes(destination).copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

function be16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** RFC 1071. */
function checksum(...parts: readonly Buffer[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
