/** The packets of the benchmark: made once here, varied by the generator, and checked when they come out. */

export const endpoints = { gateway: "172.168.0.1", from: "172.168.0.7", to: "172.168.0.11", stranger: "172.168.0.99" };
export const macs = { gateway: "020000000001", from: "020000000007", to: "020000000011", tenant: "02aa00000001" };
/** Of the gateway's end of a gretap tunnel, as xgw makes it from the key. */
const tunnelMac = (key: number) => `0267${key.toString(16).padStart(8, "0")}`;
/** As the client sees the service, and as it is. */
export const service = { address: "2.2.2.11", port: 80 };
export const server = { address: "10.0.0.7", port: 8080 };

export type Protocol = "tcp" | "udp";
export type Wrap = "gretap" | "gre" | "plain";

const ethernetLength = 14;
const ipLength = 20;
const greLength = 8;

export function innerOffset(wrap: Wrap): number {
  const outer = ethernetLength + ipLength + greLength;
  return { gretap: outer + ethernetLength, gre: outer, plain: ethernetLength }[wrap];
}

export function ipv4(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

/** RFC 1071, over an even number of bytes. */
export function onesComplementSum(...parts: Buffer[]): number {
  let sum = 0;
  for (const part of parts) for (let at = 0; at < part.length; at += 2) sum += part.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

interface IpOptions {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly payload: number;
}

function ipHeader({ from, to, protocol, payload }: IpOptions): Buffer {
  const header = Buffer.alloc(ipLength);
  header[0] = 0x45;
  header.writeUInt16BE(ipLength + payload, 2);
  header.writeUInt16BE(0x4000, 6);
  header[8] = 64;
  header[9] = protocol;
  ipv4(from).copy(header, 12);
  ipv4(to).copy(header, 16);
  header.writeUInt16BE(~onesComplementSum(header) & 0xffff, 10);
  return header;
}

function ethernet(destination: string, source: string, type: number): Buffer {
  return Buffer.from(`${destination}${source}${type.toString(16).padStart(4, "0")}`, "hex");
}

/** All that a plain packet has in front when the gateway sends it. */
export const plainHeader = (): Buffer => ethernet(macs.to, macs.gateway, 0x0800);

/** The outer headers of a tunnelled packet; the length fields count `payload` bytes behind the GRE header. */
export function outerHeaders(wrap: Wrap, key: number, from: string, to: string, payload: number): Buffer {
  const gre = Buffer.alloc(greLength);
  gre.writeUInt16BE(0x2000, 0);
  gre.writeUInt16BE(wrap === "gretap" ? 0x6558 : 0x0800, 2);
  gre.writeUInt32BE(key, 4);
  const toGateway = to === endpoints.gateway;
  const eth = toGateway ? ethernet(macs.gateway, macs.from, 0x0800) : ethernet(macs.to, macs.gateway, 0x0800);
  const near = tunnelMac(key);
  const innerEth = toGateway ? ethernet(near, macs.tenant, 0x0800) : ethernet(macs.tenant, near, 0x0800);
  const inner = wrap === "gretap" ? [innerEth] : [];
  return Buffer.concat([eth, ipHeader({ from, to, protocol: 47, payload: greLength + payload }), gre, ...inner]);
}

export interface Tuple {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
}

const toService: Tuple = { from: "0.0.0.0", fromPort: 0, to: service.address, toPort: service.port };

/** A TCP (ACK) or UDP packet with so many bytes of payload, an even number. */
function innerPacket(protocol: Protocol, { from, fromPort, to, toPort }: Tuple, bytes: number): Buffer {
  const header = Buffer.alloc(protocol === "tcp" ? 20 : 8);
  const payload = Buffer.alloc(bytes, 0x5a);
  const number = protocol === "tcp" ? 6 : 17;
  header.writeUInt16BE(fromPort, 0);
  header.writeUInt16BE(toPort, 2);
  if (protocol === "tcp") {
    header[12] = 0x50;
    header[13] = 0x10;
    header.writeUInt16BE(0xffff, 14);
  } else {
    header.writeUInt16BE(header.length + payload.length, 4);
  }
  const sum = onesComplementSum(pseudoHeader(ipv4(from), ipv4(to), number, header, payload), header, payload);
  header.writeUInt16BE(~sum & 0xffff, protocol === "tcp" ? 16 : 6);
  const ip = ipHeader({ from, to, protocol: number, payload: header.length + payload.length });
  return Buffer.concat([ip, header, payload]);
}

function pseudoHeader(from: Buffer, to: Buffer, protocol: number, ...segment: Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  from.copy(header, 0);
  to.copy(header, 4);
  header[9] = protocol;
  header.writeUInt16BE(Buffer.concat(segment).length, 10);
  return header;
}

export interface FrameOptions {
  readonly wrap: Wrap;
  readonly protocol: Protocol;
  readonly key?: number;
  readonly outerSource?: string;
  readonly tuple?: Tuple;
  /** Bytes behind the TCP or UDP header. */
  readonly payload?: number;
}

/** The frame of the flow with address 0 and port 0 on the varied side: the generator fills them in. */
export function frame(options: FrameOptions): Buffer {
  const { wrap, protocol, key = 1000, outerSource = endpoints.from, tuple = toService, payload = 64 } = options;
  const inner = innerPacket(protocol, tuple, payload);
  if (wrap === "plain") return Buffer.concat([ethernet(macs.gateway, macs.from, 0x0800), inner]);
  const length = inner.length + (wrap === "gretap" ? ethernetLength : 0);
  return Buffer.concat([outerHeaders(wrap, key, outerSource, endpoints.gateway, length), inner]);
}

/** What is wrong with a forwarded packet; undefined when nothing is. */
export function faultOf(
  packet: Buffer,
  wrap: Wrap,
  protocol: Protocol,
  number: number,
  key: number,
): string | undefined {
  const at = innerOffset(wrap);
  const ip = packet.subarray(at, at + ipLength);
  const segment = packet.subarray(at + ipLength);
  const source = Buffer.from([10, (number >> 16) & 0xff, (number >> 8) & 0xff, number & 0xff]);
  const checks: [string, boolean][] = [
    ["inner source", ip.subarray(12, 16).equals(source)],
    ["inner destination", ip.subarray(16, 20).equals(ipv4(server.address))],
    ["inner TTL", ip[8] === 63],
    ["inner IP checksum", onesComplementSum(ip) === 0xffff],
    ["source port", segment.readUInt16BE(0) === 1024 + (number & 0x7fff)],
    ["destination port", segment.readUInt16BE(2) === server.port],
    [
      `${protocol} checksum`,
      onesComplementSum(pseudoHeader(source, ipv4(server.address), ip[9] ?? 0, segment), segment) === 0xffff,
    ],
  ];
  if (wrap === "plain") {
    checks.unshift(["Ethernet header", packet.subarray(0, at).equals(plainHeader())]);
  } else {
    const payload = packet.length - ethernetLength - ipLength - greLength;
    const expected = outerHeaders(wrap, key, endpoints.gateway, endpoints.to, payload);
    checks.unshift(["outer headers", packet.subarray(0, at).equals(expected)]);
  }
  return checks.find(([, right]) => !right)?.[0];
}
