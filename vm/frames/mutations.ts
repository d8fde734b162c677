/**
 * What a sender, a network or an attacker may do to a packet. Each is drawn by its name, so that one more changes no
 * other packet than those that draw it.
 */

import { ipBytes } from "../../test/bpf/support/packet.js";
import type { Random } from "../../test/bpf/support/random.js";
import { type Draft, setIpChecksum, setTransportChecksum } from "./draft.js";

export interface Mutation {
  readonly name: string;
  /** What the packet must have; anything if missing. */
  readonly of?: "tunnel" | "gretap" | "plain" | "transport" | "tcp" | "udp";
  apply(draft: Draft, random: Random): void;
  /** The connection may be another one afterwards; no packet of it can be compared with one before. */
  readonly ends?: boolean;
}

const tcpFlags = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 };

const withOptions = (header: Buffer, options: Buffer) => {
  const longer = Buffer.concat([header, options]);
  longer[0] = 0x40 | (longer.length / 4);
  return longer;
};

/** NOPs, a record route, a router alert, a source route, or bytes of which nothing can be made. */
function ipOptions({ pick, bytes }: Random): Buffer {
  return pick([
    () => Buffer.alloc(4, 1),
    () => Buffer.from([7, 7, 4, 0, 0, 0, 0, 0]),
    () => Buffer.from([0x94, 4, 0, 0]),
    () => Buffer.from([0x83, 7, 4, 10, 0, 0, 9, 0]),
    () => bytes(4),
    () => Buffer.alloc(40, 1),
  ])();
}

/** The 16 bits of flags and offset: MF alone, an offset alone, or both. */
function fragment(ip: Buffer, { pick, integer }: Random, id: number): void {
  ip.writeUInt16BE(pick([0x2000, integer(1, 100), 0x2000 | integer(1, 100), 0x1fff]), 6);
  ip.writeUInt16BE(id, 4);
}

let fragments = 0;
/** Of no other fragment of this run: what a queue has taken is not to be put together with something else. */
export function nextFragmentId(): number {
  fragments = (fragments + 1) & 0xffff;
  return fragments;
}

const setTcpFlags = (draft: Draft, flags: number) => void draft.header.writeUInt8(flags, 13);
const flip = (buffer: Buffer, at: number, bits: number) => void buffer.writeUInt8(buffer.readUInt8(at) ^ bits, at);

export const mutations: readonly Mutation[] = [
  { name: "inner TTL 1", apply: ({ ip }) => void ip.writeUInt8(1, 8) },
  { name: "inner TTL 0", apply: ({ ip }) => void ip.writeUInt8(0, 8) },
  { name: "outer TTL", of: "tunnel", apply: ({ outer }, { pick }) => void outer.writeUInt8(pick([0, 1, 2, 255]), 8) },
  { name: "inner TOS", apply: ({ ip }, { integer }) => void ip.writeUInt8(integer(0, 255), 1) },
  { name: "outer TOS", of: "tunnel", apply: ({ outer }, { integer }) => void outer.writeUInt8(integer(0, 255), 1) },
  {
    name: "both ECN",
    of: "tunnel",
    apply: ({ ip, outer }, { integer }) => {
      ip[1] = integer(0, 3);
      outer[1] = integer(0, 3);
    },
  },
  { name: "inner DF off", apply: ({ ip }) => void ip.writeUInt16BE(0, 6) },
  { name: "outer DF off", of: "tunnel", apply: ({ outer }) => void outer.writeUInt16BE(0, 6) },
  { name: "inner reserved flag", apply: ({ ip }) => flip(ip, 6, 0x80) },
  { name: "outer reserved flag", of: "tunnel", apply: ({ outer }) => flip(outer, 6, 0x80) },
  { name: "inner id", apply: ({ ip }, { pick }) => void ip.writeUInt16BE(pick([0, 1, 0xffff]), 4) },
  { name: "outer id", of: "tunnel", apply: ({ outer }, { pick }) => void outer.writeUInt16BE(pick([0, 1, 0xffff]), 4) },
  {
    name: "inner options",
    apply: (draft, random) => {
      draft.ip = withOptions(draft.ip, ipOptions(random));
    },
  },
  {
    name: "outer options",
    of: "tunnel",
    apply: (draft, random) => {
      draft.outer = withOptions(draft.outer, ipOptions(random));
    },
  },
  { name: "inner fragment", apply: ({ ip }, random) => fragment(ip, random, nextFragmentId()) },
  { name: "outer fragment", of: "tunnel", apply: ({ outer }, random) => fragment(outer, random, nextFragmentId()) },
  { name: "cut short", apply: (draft, { integer }) => void Object.assign(draft, { cut: integer(1, 60) }) },
  { name: "cut anywhere", apply: (draft, { integer }) => void Object.assign(draft, { cut: integer(1, 1600) }) },
  {
    name: "padded",
    apply: (draft, { bytes, integer }) => void Object.assign(draft, { padding: bytes(integer(1, 60)) }),
  },
  {
    name: "padded with zeros",
    apply: (draft, { integer }) => void Object.assign(draft, { padding: Buffer.alloc(integer(1, 46)) }),
  },
  {
    name: "padded inside",
    of: "tunnel",
    apply: (draft, { bytes, integer }) => void Object.assign(draft, { innerPadding: bytes(integer(1, 30)) }),
  },
  {
    name: "more than the MTU",
    apply: (draft, { bytes, integer }) => void Object.assign(draft, { payload: bytes(integer(1380, 1460)) }),
  },
  {
    name: "inner length",
    apply: ({ ip, header, payload, spoiled }, { pick, integer }) => {
      const right = ip.length + header.length + payload.length;
      ip.writeUInt16BE(pick([0, 19, 20, 27, 28, 39, 40, right - 1, right + 1, integer(0, 1500), 0xffff]) & 0xffff, 2);
      spoiled.add("inner length");
    },
  },
  {
    name: "outer length",
    of: "tunnel",
    apply: ({ outer, spoiled }, { pick, integer }) => {
      outer.writeUInt16BE(pick([0, 20, 24, 28, 41, 42, 61, 62, integer(0, 1500), 0xffff]), 2);
      spoiled.add("outer length");
    },
  },
  {
    name: "inner header checksum",
    apply: ({ ip, spoiled }, { integer, pick }) => {
      setIpChecksum(ip);
      ip.writeUInt16BE(ip.readUInt16BE(10) ^ pick([1, 0x8000, 0xffff, integer(1, 0xffff)]), 10);
      spoiled.add("inner checksum");
    },
  },
  {
    name: "inner header checksum 0",
    apply: ({ ip, spoiled }) => {
      ip.writeUInt16BE(0, 10);
      spoiled.add("inner checksum");
    },
  },
  {
    name: "outer header checksum",
    of: "tunnel",
    apply: ({ outer, spoiled }, { integer, pick }) => {
      outer.writeUInt16BE(pick([0, integer(1, 0xffff)]), 10);
      spoiled.add("outer checksum");
    },
  },
  {
    name: "transport checksum",
    of: "transport",
    apply: (draft, { integer }) => {
      setTransportChecksum(draft);
      const at = draft.protocol === "tcp" ? 16 : 6;
      draft.header.writeUInt16BE(draft.header.readUInt16BE(at) ^ integer(1, 0xffff), at);
      draft.spoiled.add("transport checksum");
    },
  },
  {
    name: "transport checksum 0",
    of: "transport",
    apply: (draft) => {
      draft.header.writeUInt16BE(0, draft.protocol === "tcp" ? 16 : 6);
      draft.spoiled.add("transport checksum");
    },
  },
  {
    name: "transport checksum 0xffff",
    of: "transport",
    apply: (draft) => {
      draft.header.writeUInt16BE(0xffff, draft.protocol === "tcp" ? 16 : 6);
      draft.spoiled.add("transport checksum");
    },
  },
  {
    name: "UDP length",
    of: "udp",
    apply: ({ header, payload, spoiled }, { pick, integer }) => {
      const right = 8 + payload.length;
      header.writeUInt16BE(pick([0, 7, 8, right - 1, right + 1, integer(0, 0xffff)]) & 0xffff, 4);
      spoiled.add("udp length");
    },
  },
  {
    name: "TCP data offset",
    of: "tcp",
    apply: ({ header }, { integer }) => void header.writeUInt8((integer(0, 15) << 4) | ((header[12] ?? 0) & 15), 12),
  },
  {
    name: "TCP reserved bits",
    of: "tcp",
    apply: ({ header }, { integer }) => void header.writeUInt8(((header[12] ?? 0) & 0xf0) | integer(1, 15), 12),
  },
  {
    name: "TCP flags that open and close nothing",
    of: "tcp",
    apply: (draft, { integer }) => setTcpFlags(draft, (integer(0, 31) << 3) | tcpFlags.ack),
  },
  { name: "TCP without ACK", of: "tcp", apply: (draft, { pick }) => setTcpFlags(draft, pick([0, 0x08, 0x20, 0xc0])) },
  { name: "TCP SYN", of: "tcp", ends: true, apply: (draft) => setTcpFlags(draft, tcpFlags.syn) },
  { name: "TCP SYN ACK", of: "tcp", ends: true, apply: (draft) => setTcpFlags(draft, tcpFlags.syn | tcpFlags.ack) },
  { name: "TCP FIN", of: "tcp", ends: true, apply: (draft) => setTcpFlags(draft, tcpFlags.fin | tcpFlags.ack) },
  { name: "TCP RST", of: "tcp", ends: true, apply: (draft) => setTcpFlags(draft, tcpFlags.rst) },
  {
    name: "TCP flags of any kind",
    of: "tcp",
    ends: true,
    apply: (draft, { integer }) => setTcpFlags(draft, integer(0, 255)),
  },
  {
    name: "TCP sequence",
    of: "tcp",
    apply: ({ header }, { pick }) => void header.writeUInt32BE(pick([0, 0x7fffffff, 0x80000001, 0xffffffff]), 4),
  },
  {
    name: "TCP acknowledgement",
    of: "tcp",
    apply: ({ header }, { pick }) => void header.writeUInt32BE(pick([0, 0x7fffffff, 0x80000001, 0xffffffff]), 8),
  },
  {
    name: "TCP options",
    of: "tcp",
    apply: (draft, { bytes, integer }) => {
      const options = bytes(4 * integer(1, 10));
      draft.header = Buffer.concat([draft.header, options]);
      draft.header[12] = (draft.header.length / 4) << 4;
    },
  },
  {
    name: "GRE flags",
    of: "tunnel",
    apply: ({ gre }, { pick }) => void gre.writeUInt16BE(pick([0, 0x2800, 0x2400, 0x2008, 0x2080, 0x20f8, 0x2700]), 0),
  },
  {
    name: "GRE version",
    of: "tunnel",
    apply: ({ gre }, { integer }) => void gre.writeUInt16BE(0x2000 | integer(1, 7), 0),
  },
  {
    name: "GRE sequence",
    of: "tunnel",
    apply: (draft) => {
      draft.gre.writeUInt16BE(0x3000, 0);
      draft.gre = Buffer.concat([draft.gre, Buffer.alloc(4, 7)]);
    },
  },
  {
    name: "GRE checksum",
    of: "tunnel",
    apply: (draft, { pick }) => {
      const { gre } = draft;
      gre.writeUInt16BE(0xa000, 0);
      draft.gre = Buffer.concat([gre.subarray(0, 4), Buffer.alloc(4), gre.subarray(4)]);
      if (pick([true, false])) draft.spoiled.add("gre checksum");
    },
  },
  {
    name: "GRE without key",
    of: "tunnel",
    apply: (draft) => {
      draft.gre = draft.gre.subarray(0, 4);
      draft.gre.writeUInt16BE(0, 0);
    },
  },
  {
    name: "GRE key",
    of: "tunnel",
    apply: ({ gre }, { pick, integer }) => {
      if (gre.length < 8) return; // another mutation has taken the key away
      gre.writeUInt32BE(pick([0, (gre.readUInt32BE(4) ^ 1) >>> 0, integer(0, 0xffff_ffff)]), 4);
    },
  },
  {
    name: "GRE protocol",
    of: "tunnel",
    apply: ({ gre }, { pick }) => void gre.writeUInt16BE(pick([0, 0x0800, 0x6558, 0x86dd, 0x0806, 0x88be]), 2),
  },
  {
    name: "inner destination MAC",
    of: "gretap",
    apply: ({ innerEth }, { pick, bytes }) => {
      const other = bytes(6);
      pick([
        () => other.copy(innerEth, 0),
        () => innerEth.fill(0xff, 0, 6),
        () => flip(innerEth, 0, 1),
        () => flip(innerEth, 5, 1),
        () => innerEth.fill(0, 0, 6),
      ])();
    },
  },
  {
    name: "inner source MAC",
    of: "gretap",
    apply: ({ innerEth }, { pick, bytes }) => {
      const other = bytes(6);
      pick([() => other.copy(innerEth, 6), () => innerEth.fill(0xff, 6, 12), () => innerEth.copy(innerEth, 6, 0, 6)])();
    },
  },
  {
    name: "inner EtherType",
    of: "gretap",
    apply: ({ innerEth }, { pick }) => void innerEth.writeUInt16BE(pick([0x86dd, 0x0806, 0, 46, 0x8847]), 12),
  },
  {
    name: "inner VLAN tag",
    of: "gretap",
    apply: (draft, { pick, integer }) => {
      const tag = Buffer.alloc(4);
      tag.writeUInt16BE(pick([0x8100, 0x88a8]), 0);
      tag.writeUInt16BE(pick([0, 1, integer(0, 0xffff)]), 2);
      draft.innerEth = Buffer.concat([draft.innerEth.subarray(0, 12), tag, draft.innerEth.subarray(12)]);
    },
  },
  {
    name: "destination MAC",
    apply: ({ eth }, { pick, bytes }) => {
      const other = bytes(6);
      pick([() => other.copy(eth, 0), () => eth.fill(0xff, 0, 6), () => flip(eth, 0, 1), () => flip(eth, 5, 1)])();
    },
  },
  { name: "source MAC", apply: ({ eth }, { bytes }) => void bytes(6).copy(eth, 6) },
  {
    name: "VLAN tag",
    apply: (draft, { pick, integer }) => {
      const tag = Buffer.alloc(4);
      tag.writeUInt16BE(pick([0x8100, 0x88a8]), 0);
      tag.writeUInt16BE(pick([0, 1, 100, integer(0, 0xffff)]), 2);
      draft.vlans = pick([() => Buffer.concat([tag, draft.vlans]), () => tag, () => Buffer.alloc(0)])();
    },
  },
  {
    name: "outer source",
    of: "tunnel",
    apply: ({ outer }, { pick }) =>
      void ipBytes(
        pick(["172.168.0.66", "172.168.0.1", "172.168.0.7", "127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255"]),
      ).copy(outer, 12),
  },
  {
    name: "outer destination",
    of: "tunnel",
    apply: ({ outer }, { pick }) =>
      void ipBytes(pick(["172.168.0.255", "172.168.0.2", "127.0.0.1", "224.0.0.1", "255.255.255.255"])).copy(outer, 16),
  },
  {
    name: "inner source",
    apply: ({ ip }, { pick }) =>
      void ipBytes(pick(["127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.1", "10.0.0.9"])).copy(ip, 12),
  },
  {
    name: "inner destination",
    apply: ({ ip }, { pick }) =>
      void ipBytes(pick(["127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.1", "9.9.9.9"])).copy(ip, 16),
  },
  {
    name: "source port",
    of: "transport",
    apply: ({ header }, { pick }) =>
      void header.writeUInt16BE((header.readUInt16BE(0) + pick([1, 0xffff, 0x0100])) & 0xffff, 0),
  },
  {
    name: "destination port",
    of: "transport",
    apply: ({ header }, { pick }) =>
      void header.writeUInt16BE((header.readUInt16BE(2) + pick([1, 0xffff, 0x0100])) & 0xffff, 2),
  },
  { name: "inner protocol", apply: ({ ip }, { pick }) => void ip.writeUInt8(pick([1, 6, 17, 47, 132, 136, 255]), 9) },
  {
    name: "inner version or header length",
    apply: ({ ip }, { pick }) => void ip.writeUInt8(pick([0x40, 0x44, 0x46, 0x4f, 0x65, 0x55]), 0),
  },
  {
    name: "outer version or header length",
    of: "tunnel",
    apply: ({ outer }, { pick }) => void outer.writeUInt8(pick([0x40, 0x44, 0x46, 0x4f, 0x65, 0x55]), 0),
  },
  {
    name: "a bit anywhere in the headers",
    ends: true,
    apply: (draft, { pick, integer }) => {
      const layers = [draft.outer, draft.gre, draft.innerEth, draft.ip, draft.header].filter(
        ({ length }) => length > 0,
      );
      const layer = pick(layers);
      flip(layer, integer(0, layer.length - 1), 1 << integer(0, 7));
    },
  },
];

export function suits({ of }: Mutation, draft: Draft): boolean {
  switch (of) {
    case undefined:
      return true;
    case "tunnel":
      return draft.gre.length > 0;
    case "gretap":
      return draft.innerEth.length > 0;
    case "transport":
      return draft.protocol !== "other";
    case "plain":
      return draft.gre.length === 0;
    default:
      return draft.protocol === of;
  }
}
