/** A frame taken apart layer by layer, GRE with any flags included, as far as it can be read. */

export interface Ipv4 {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly id: number;
  /** In bytes. */
  readonly offset: number;
  readonly more: boolean;
  /** TCP and UDP, unless in a later fragment. */
  readonly sport?: number;
  readonly dport?: number;
  /** ICMP, unless in a later fragment. */
  readonly icmp?: Icmp;
  /** Behind the header. */
  readonly payload: Buffer;
}

export interface Icmp {
  readonly type: number;
  readonly code: number;
  /** Of an echo or another question and its answer. */
  readonly id: number;
  /** What an error is about. */
  readonly quoted?: Ipv4;
}

export interface Arp {
  readonly isReply: boolean;
  readonly sender: string;
  readonly target: string;
}

/** What an Ethernet frame, or a tunnel, carries. */
export interface Carried {
  readonly type: number;
  readonly ip?: Ipv4;
  readonly arp?: Arp;
}

export interface Tunnelled extends Carried {
  readonly key: number | undefined;
  /** Of an Ethernet frame in the tunnel: destination, source. */
  readonly macs?: readonly [string, string];
}

export interface Layers extends Carried {
  readonly macs: readonly [destination: string, source: string];
  /** Outermost first. */
  readonly tags: readonly (readonly [type: number, tag: number])[];
}

export const types = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd, bridged: 0x6558 } as const;
const vlanTypes = [0x8100, 0x88a8];
const icmpErrors = [3, 4, 5, 11, 12];
export const protocols = { icmp: 1, tcp: 6, udp: 17, gre: 47 } as const;

const address = (bytes: Buffer) => bytes.join(".");
const mac = (bytes: Buffer) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

/** @param frame 14 bytes at least */
export function layersOf(frame: Buffer): Layers {
  const tags: [number, number][] = [];
  let at = 12;
  for (; frame.length >= at + 6 && vlanTypes.includes(frame.readUInt16BE(at)); at += 4)
    tags.push([frame.readUInt16BE(at), frame.readUInt16BE(at + 2)]);
  const macs = [mac(frame.subarray(0, 6)), mac(frame.subarray(6, 12))] as const;
  return { macs, tags, ...carried(frame.readUInt16BE(at), frame.subarray(at + 2)) };
}

export function carried(type: number, bytes: Buffer): Carried {
  if (type === types.ipv4) {
    const ip = ipv4Of(bytes);
    return ip ? { type, ip } : { type };
  }
  return type === types.arp && bytes.length >= 28 ? { type, arp: arpOf(bytes) } : { type };
}

function arpOf(bytes: Buffer): Arp {
  return {
    isReply: bytes.readUInt16BE(6) === 2,
    sender: address(bytes.subarray(14, 18)),
    target: address(bytes.subarray(24, 28)),
  };
}

/** Undefined for what is no IPv4 header. */
export function ipv4Of(bytes: Buffer): Ipv4 | undefined {
  const length = ((bytes[0] ?? 0) & 15) * 4;
  if (bytes.length < 20 || (bytes[0] ?? 0) >> 4 !== 4 || length < 20 || bytes.length < length) return undefined;
  const total = Math.min(Math.max(bytes.readUInt16BE(2), length), bytes.length);
  const payload = bytes.subarray(length, total);
  const flags = bytes.readUInt16BE(6);
  const offset = (flags & 0x1fff) * 8;
  const protocol = bytes[9] ?? 0;
  return {
    src: address(bytes.subarray(12, 16)),
    dst: address(bytes.subarray(16, 20)),
    protocol,
    ttl: bytes[8] ?? 0,
    id: bytes.readUInt16BE(4),
    offset,
    more: (flags & 0x2000) !== 0,
    payload,
    // Ports as the kernel's flowtable reads them (nf_flow_tuple_ip), which does not look whether the total length has room for them.
    ...(offset === 0 ? transportOf(protocol, isPorted(protocol) ? bytes.subarray(length) : payload) : {}),
  };
}

const isPorted = (protocol: number) => protocol === protocols.tcp || protocol === protocols.udp;

function transportOf(protocol: number, bytes: Buffer): Pick<Ipv4, "sport" | "dport" | "icmp"> {
  if (isPorted(protocol) && bytes.length >= 4) return { sport: bytes.readUInt16BE(0), dport: bytes.readUInt16BE(2) };
  if (protocol !== protocols.icmp || bytes.length < 8) return {};
  const [type = 0, code = 0] = bytes;
  const quoted = icmpErrors.includes(type) ? ipv4Of(bytes.subarray(8)) : undefined;
  return { icmp: { type, code, id: bytes.readUInt16BE(4), ...(quoted ? { quoted } : {}) } };
}

export const isIcmpError = ({ icmp }: Ipv4): boolean => icmp !== undefined && icmpErrors.includes(icmp.type);

/** What is in a GRE packet; undefined for another one, or one that is cut off. */
export function tunnelled(ip: Ipv4): Tunnelled | undefined {
  const { payload } = ip;
  if (ip.protocol !== protocols.gre || ip.offset > 0 || payload.length < 4) return undefined;
  const flags = payload.readUInt16BE(0);
  const has = (bit: number) => ((flags & bit) === 0 ? 0 : 4);
  const keyAt = 4 + (has(0x8000) || has(0x4000));
  const at = keyAt + has(0x2000) + has(0x1000);
  if ((flags & 7) !== 0 || payload.length < at) return undefined;
  const key = has(0x2000) > 0 ? payload.readUInt32BE(keyAt) : undefined;
  const type = payload.readUInt16BE(2);
  const inner = payload.subarray(at);
  if (type !== types.bridged) return { key, ...carried(type, inner) };
  if (inner.length < 14) return { key, type };
  const { macs, tags: _, ...rest } = layersOf(inner);
  return { key, macs, ...rest };
}
