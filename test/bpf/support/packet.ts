/**
 * Packets, written down layer by layer and turned into bytes. Every length and checksum is computed here from scratch, so
 * that a frame built by these functions is an expectation that owes nothing to the programs under test.
 */

export interface EthernetFields {
  readonly src: string;
  readonly dst: string;
  /** EtherType; IPv4 if not given. */
  readonly type?: number;
  /** VLAN tags, the outermost first: type, priority and id in 32 bits. */
  readonly tags?: readonly number[];
}

export interface Ipv4Fields {
  readonly src: string;
  readonly dst: string;
  readonly tos?: number;
  readonly id?: number;
  readonly ttl?: number;
  /** "don't fragment"; on if not given. */
  readonly df?: boolean;
  /** "more fragments" */
  readonly more?: boolean;
  /** Offset of the fragment in bytes, a multiple of 8. */
  readonly offset?: number;
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** In place of the true length. */
  readonly totalLength?: number;
  readonly version?: number;
  /** In place of the true header length, in words of 4 bytes. */
  readonly ihl?: number;
}

/** What lies in an IP packet: some checksums need the addresses above. */
export interface Transport {
  readonly protocol: number;
  bytes(src: string, dst: string): Buffer;
}

export interface TcpFields {
  readonly sport: number;
  readonly dport: number;
  readonly flags?: readonly TcpFlag[];
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly options?: Uint8Array;
  readonly payload?: Uint8Array | string;
}

export interface UdpFields {
  readonly sport: number;
  readonly dport: number;
  /** false: sent as 0, "there is none". */
  readonly checksum?: boolean;
  readonly payload?: Uint8Array | string;
}

export interface GreFields {
  /** EtherType of the payload. */
  readonly type: number;
  readonly key?: number;
  readonly checksum?: boolean;
  readonly sequence?: number;
  readonly routing?: boolean;
}

export const etherType = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, bridged: 0x6558 } as const;
export const ipProtocol = { icmp: 1, tcp: 6, udp: 17, gre: 47, sctp: 132 } as const;

const tcpFlagBits = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;
export type TcpFlag = keyof typeof tcpFlagBits;

export function ipBytes(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

/** RFC 1071, word by word. */
export function checksum(...parts: readonly Uint8Array[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export function ethernet({ src, dst, type = etherType.ipv4, tags = [] }: EthernetFields, payload: Uint8Array): Buffer {
  const words = Buffer.alloc(4 * tags.length + 2);
  for (const [at, tag] of tags.entries()) words.writeUInt32BE(tag, 4 * at);
  words.writeUInt16BE(type, 4 * tags.length);
  return Buffer.concat([macBytes(dst), macBytes(src), words, payload]);
}

export function ipv4(fields: Ipv4Fields, transport: Transport): Buffer {
  const options = fields.options ?? Buffer.alloc(0);
  const payload = transport.bytes(fields.src, fields.dst);
  const header = Buffer.alloc(20 + options.length);
  header[0] = ((fields.version ?? 4) << 4) | (fields.ihl ?? header.length / 4);
  header[1] = fields.tos ?? 0;
  header.writeUInt16BE(fields.totalLength ?? header.length + payload.length, 2);
  header.writeUInt16BE(fields.id ?? 0, 4);
  const flags = ((fields.df ?? true) ? 0x4000 : 0) | (fields.more ? 0x2000 : 0);
  header.writeUInt16BE(flags | ((fields.offset ?? 0) / 8), 6);
  header[8] = fields.ttl ?? 64;
  header[9] = transport.protocol;
  ipBytes(fields.src).copy(header, 12);
  ipBytes(fields.dst).copy(header, 16);
  header.set(options, 20);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

function pseudoHeader(src: string, dst: string, protocol: number, length: number): Buffer {
  return Buffer.concat([ipBytes(src), ipBytes(dst), Buffer.from([0, protocol, length >> 8, length & 0xff])]);
}

export function tcp(fields: TcpFields): Transport {
  const bits = (fields.flags ?? ["ack"]).reduce((all, flag) => all | tcpFlagBits[flag], 0);
  return {
    protocol: ipProtocol.tcp,
    bytes(src, dst) {
      const options = fields.options ?? Buffer.alloc(0);
      const payload = Buffer.from(fields.payload ?? "");
      const header = Buffer.alloc(20 + options.length);
      header.writeUInt16BE(fields.sport, 0);
      header.writeUInt16BE(fields.dport, 2);
      header.writeUInt32BE(fields.seq ?? 1, 4);
      header.writeUInt32BE(fields.ack ?? 1, 8);
      header[12] = (header.length / 4) << 4;
      header[13] = bits;
      header.writeUInt16BE(fields.window ?? 0xffff, 14);
      header.set(options, 20);
      const above = pseudoHeader(src, dst, ipProtocol.tcp, header.length + payload.length);
      header.writeUInt16BE(checksum(above, header, payload), 16);
      return Buffer.concat([header, payload]);
    },
  };
}

export function udp(fields: UdpFields): Transport {
  return {
    protocol: ipProtocol.udp,
    bytes(src, dst) {
      const payload = Buffer.from(fields.payload ?? "");
      const header = Buffer.alloc(8);
      header.writeUInt16BE(fields.sport, 0);
      header.writeUInt16BE(fields.dport, 2);
      header.writeUInt16BE(header.length + payload.length, 4);
      if (fields.checksum ?? true) {
        const above = pseudoHeader(src, dst, ipProtocol.udp, header.length + payload.length);
        header.writeUInt16BE(checksum(above, header, payload) || 0xffff, 6);
      }
      return Buffer.concat([header, payload]);
    },
  };
}

/** An echo request. */
export function icmp(payload = "ping"): Transport {
  const message = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]), Buffer.from(payload)]);
  message.writeUInt16BE(checksum(message), 2);
  return raw(ipProtocol.icmp, message);
}

/** Bytes under a protocol number, as they are. */
export function raw(protocol: number, bytes: Uint8Array): Transport {
  return { protocol, bytes: () => Buffer.from(bytes) };
}

/** RFC 2784 and RFC 2890. */
export function gre(fields: GreFields, payload: Uint8Array): Transport {
  const word = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const flags =
    (fields.checksum ? 0x8000 : 0) |
    (fields.routing ? 0x4000 : 0) |
    (fields.key === undefined ? 0 : 0x2000) |
    (fields.sequence === undefined ? 0 : 0x1000);
  const bytes = Buffer.concat([
    word(flags * 0x1_0000 + fields.type),
    ...(fields.checksum || fields.routing ? [word(0)] : []),
    ...(fields.key === undefined ? [] : [word(fields.key)]),
    ...(fields.sequence === undefined ? [] : [word(fields.sequence)]),
    payload,
  ]);
  if (fields.checksum) bytes.writeUInt16BE(checksum(bytes), 4);
  return raw(ipProtocol.gre, bytes);
}

export interface ArpFields {
  readonly operation: "request" | "reply";
  readonly senderMac: string;
  readonly sender: string;
  readonly targetMac: string;
  readonly target: string;
}

/** RFC 826, for IPv4 over Ethernet, with the Ethernet header. */
export function arp(fields: ArpFields): Buffer {
  const broadcast = fields.operation === "request";
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, broadcast ? 1 : 2]);
  const body = [macBytes(fields.senderMac), ipBytes(fields.sender), macBytes(fields.targetMac), ipBytes(fields.target)];
  const dst = broadcast ? "ff:ff:ff:ff:ff:ff" : fields.targetMac;
  return ethernet({ src: fields.senderMac, dst, type: etherType.arp }, Buffer.concat([head, ...body]));
}

/** Zeros behind a frame, as Ethernet has them behind a short one. */
export function padded(frame: Uint8Array, bytes: number): Buffer {
  return Buffer.concat([frame, Buffer.alloc(bytes)]);
}
