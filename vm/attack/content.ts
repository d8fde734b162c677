/** The grammar: what a packet can be made of, by whoever controls what a host sends. All of it carries the nonce. */

import {
  arp,
  checksum,
  ethernet,
  gre,
  ipv4,
  raw,
  type TcpFlag,
  type Transport,
  tcp,
  udp,
} from "../../test/bpf/support/packet.js";
import type { Random } from "../../test/bpf/support/random.js";
import { tunnelMac } from "../frames/addresses.js";
import { type Content, ipHeader } from "../frames/draft.js";
import { ipv6, withIpv6Checksum } from "../frames/ipv6.js";
import { protocols, types } from "../frames/layers.js";
import type { Tuple } from "./world.js";

/** What a sender draws from. */
export interface Palette {
  readonly random: Random;
  readonly nonce: Buffer;
  /** IP id of every layer: by it the gateway's own input hook tells which packet it took. */
  readonly id: number;
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  /** Where nested tunnels lead, and from where they claim to be. */
  readonly tunnelTargets: readonly string[];
  readonly tunnelSources: readonly string[];
  readonly keys: readonly { readonly key: number; readonly kind: "gretap" | "gre" }[];
  readonly innerSources: readonly string[];
  readonly innerTargets: readonly string[];
  /** IPv6. */
  readonly targets6: readonly string[];
  /** Of living connections of the site. */
  readonly tuples: readonly Tuple[];
  readonly ports: readonly number[];
}

export interface Drawn {
  readonly shape: string;
  readonly story: string;
  readonly content: Content;
}

type Rule = (palette: Palette) => Drawn;

const ports = ({ random: { pick, integer }, ports: known }: Palette) => ({
  sport: pick([integer(1, 65535), pick(known)]),
  dport: pick([pick(known), pick(known), integer(1, 65535)]),
});

const segment = (palette: Palette, tuple: Tuple, flags: readonly TcpFlag[]): Transport =>
  tuple.protocol === protocols.tcp
    ? tcp({ sport: tuple.sport, dport: tuple.dport, flags, payload: palette.nonce })
    : udp({ sport: tuple.sport, dport: tuple.dport, payload: palette.nonce });

function icmpMessage(type: number, code: number, word: number, payload: Uint8Array): Transport {
  const message = Buffer.concat([Buffer.from([type, code, 0, 0]), Buffer.alloc(4), payload]);
  message.writeUInt32BE(word >>> 0, 4);
  message.writeUInt16BE(checksum(message), 2);
  return raw(protocols.icmp, message);
}

/** As the layers of a draft, so that things can be done to it. */
function contentOf({ id }: Palette, src: string, dst: string, transport: Transport): Content {
  const ip = ipHeader(src, dst, transport.protocol);
  ip.writeUInt16BE(id, 4);
  const bytes = transport.bytes(src, dst);
  const protocol = { [protocols.tcp]: "tcp", [protocols.udp]: "udp" }[transport.protocol] as "tcp" | "udp" | undefined;
  const length = protocol === undefined ? 0 : protocol === "tcp" ? 20 : 8;
  return { ip, header: bytes.subarray(0, length), payload: bytes.subarray(length), protocol: protocol ?? "other" };
}

const openings: readonly (readonly TcpFlag[])[] = [
  ["syn"],
  ["syn"],
  ["syn"],
  ["ack"],
  ["syn", "ack"],
  ["rst"],
  ["fin", "ack"],
];

function transportOf(palette: Palette): [what: string, transport: Transport] {
  const { random, nonce } = palette;
  const tuple = { src: "", dst: "", ...ports(palette) };
  return random.pick([
    (): [string, Transport] => ["UDP", segment(palette, { protocol: 17, ...tuple }, [])],
    (): [string, Transport] => ["UDP", segment(palette, { protocol: 17, ...tuple }, [])],
    (): [string, Transport] => ["TCP", segment(palette, { protocol: 6, ...tuple }, random.pick(openings))],
    (): [string, Transport] => ["TCP", segment(palette, { protocol: 6, ...tuple }, random.pick(openings))],
    (): [string, Transport] => [
      "ICMP",
      icmpMessage(random.pick([8, 8, 8, 0, 13, 17]), 0, random.integer(0, 0xffff_ffff), nonce),
    ],
    (): [string, Transport] => {
      const protocol = random.pick([132, 50, 51, 89, 112, 2, 103, 136, 255]);
      return [`protocol ${protocol}`, raw(protocol, Buffer.concat([Buffer.alloc(8), nonce]))];
    },
  ])();
}

const ordinary: Rule = (palette) => {
  const { pick } = palette.random;
  const [src, dst] = [pick(palette.sources), pick(palette.targets)];
  const [what, transport] = transportOf(palette);
  return { shape: "plain", story: `${what} ${src} > ${dst}`, content: contentOf(palette, src, dst, transport) };
};

/** On a connection of somebody's. */
const onConnection: Rule = (palette) => {
  const { pick } = palette.random;
  if (palette.tuples.length === 0) return ordinary(palette);
  const tuple = pick(palette.tuples);
  const transport = segment(palette, tuple, ["ack"]);
  const story = `on a connection, ${tuple.src}:${tuple.sport} > ${tuple.dst}:${tuple.dport}`;
  return { shape: "on a connection", story, content: contentOf(palette, tuple.src, tuple.dst, transport) };
};

/** A packet in GRE in GRE …: what is in it is aimed at a tenant, or at the world in a tenant's name. */
function nested(palette: Palette, depth: number): { dst: string; story: string; transport: Transport; src: string } {
  const { pick, integer, bytes } = palette.random;
  const [src, dst] = [pick(palette.tunnelSources), pick(palette.tunnelTargets)];
  const { key, kind } = pick(palette.keys);
  let inner: Buffer;
  let told: string;
  if (depth < 3 && integer(0, 3) === 0) {
    const deeper = nested(palette, depth + 1);
    inner = ipv4({ src: deeper.src, dst: deeper.dst, id: palette.id }, deeper.transport);
    told = deeper.story;
  } else {
    const [from, to] = [pick(palette.innerSources), pick(palette.innerTargets)];
    const [what, transport] = transportOf(palette);
    inner = ipv4({ src: from, dst: to, id: palette.id, df: pick([true, false]) }, transport);
    told = `${what} ${from} > ${to}`;
  }
  const isBridged = pick([true, true, true, false]) === (kind === "gretap");
  const payload = isBridged ? ethernet({ src: "02:09:00:00:00:09", dst: tunnelMac(key) }, inner) : inner;
  const flags = pick([
    {},
    {},
    {},
    { checksum: true },
    { sequence: integer(0, 0xffff) },
    { routing: true },
    { checksum: true, sequence: 1 },
  ]);
  const hasKey = integer(0, 9) > 0;
  const type = isBridged ? types.bridged : pick([types.ipv4, types.ipv4, types.ipv4, types.ipv6, 0x88be]);
  const transport = gre({ type, ...(hasKey ? { key } : {}), ...flags }, payload);
  if (integer(0, 15) === 0) {
    // Any flags and version at all, over what they make of it.
    const spoiled = transport.bytes("", "");
    bytes(2).copy(spoiled, 0);
    const story = `GRE with flags 0x${spoiled.toString("hex", 0, 2)} ${src} > ${dst} with ${told}`;
    return { src, dst, story, transport: raw(protocols.gre, spoiled) };
  }
  const words = [hasKey ? `key ${key}` : "no key", ...Object.keys(flags), `type 0x${type.toString(16)}`].join(", ");
  return { src, dst, story: `GRE (${words}) ${src} > ${dst} with ${told}`, transport };
}

const tunnelInside: Rule = (palette) => {
  const { src, dst, story, transport } = nested(palette, 1);
  return { shape: "GRE inside", story, content: contentOf(palette, src, dst, transport) };
};

/** IP in IP, IPv6 in IP, VXLAN and the like. */
const otherTunnel: Rule = (palette) => {
  const { pick } = palette.random;
  const [src, dst] = [pick(palette.tunnelSources), pick(palette.tunnelTargets)];
  const [what, transport] = transportOf(palette);
  const [from, to] = [pick(palette.innerSources), pick(palette.innerTargets)];
  const inner = ipv4({ src: from, dst: to, id: palette.id }, transport);
  const { key } = pick(palette.keys);
  const [name, outer] = pick<[string, Transport]>([
    ["IP in IP", raw(4, inner)],
    ["IPv6 in IP", raw(41, sixOf(palette).bytes)],
    ["AH", raw(51, Buffer.concat([Buffer.from([4, 4, 0, 0]), Buffer.alloc(20), inner]))],
    [
      "VXLAN",
      udp({
        sport: 4789,
        dport: 4789,
        payload: Buffer.concat([
          Buffer.from([8, 0, 0, 0, key >>> 16, key >>> 8, key, 0]),
          ethernet({ src: "02:09:00:00:00:09", dst: tunnelMac(key) }, inner),
        ]),
      }),
    ],
    ["GRE in UDP", udp({ sport: 4754, dport: 4754, payload: gre({ type: types.ipv4, key }, inner).bytes("", "") })],
  ]);
  const story = `${name} ${src} > ${dst} with ${what} ${from} > ${to}`;
  return { shape: "another tunnel", story, content: contentOf(palette, src, dst, outer) };
};

/** About a connection of somebody's, or about anything. */
const icmpError: Rule = (palette) => {
  const { pick, integer } = palette.random;
  const [src, dst] = [pick(palette.sources), pick(palette.targets)];
  const [from, to] = [pick(palette.targets), pick(palette.sources)];
  const tuple = pick([undefined, ...palette.tuples]);
  const about = tuple
    ? ipv4(
        { src: tuple.dst, dst: tuple.src, id: palette.id },
        segment(palette, { ...tuple, sport: tuple.dport, dport: tuple.sport }, ["ack"]),
      )
    : pick([
        () => ipv4({ src: from, dst: to, id: palette.id }, transportOf(palette)[1]),
        () => {
          const tunnel = nested(palette, 2);
          return ipv4({ src: tunnel.dst, dst: tunnel.src, id: palette.id }, tunnel.transport);
        },
      ])();
  const [type, code] = pick([
    [3, 4],
    [3, 4],
    [3, 1],
    [3, 3],
    [5, 1],
    [11, 0],
    [12, 0],
    [4, 0],
  ] as const);
  const word = type === 5 ? integer(0, 0xffff_ffff) : pick([0, 68, 576, 1000, 1400, 0xffff]);
  const story = `ICMP ${type}/${code} ${src} > ${dst}${tuple ? " about a connection" : ""}`;
  return {
    shape: "ICMP error",
    story,
    content: contentOf(palette, src, dst, icmpMessage(type, code, word, Buffer.concat([about, palette.nonce]))),
  };
};

function sixOf(palette: Palette): { story: string; bytes: Buffer } {
  const { pick } = palette.random;
  const [src, dst] = [pick(["fd00:1::7", "fe80::7", "fd99::2", "2001:db8::7", "::"]), pick(palette.targets6)];
  const datagram = (next: number) => {
    const { sport, dport } = ports(palette);
    const header = Buffer.alloc(8);
    if (next === protocols.udp) {
      header.writeUInt16BE(sport, 0);
      header.writeUInt16BE(dport, 2);
      header.writeUInt16BE(8 + palette.nonce.length, 4);
    } else header[0] = 128;
    return withIpv6Checksum(src, dst, next, Buffer.concat([header, palette.nonce]), next === protocols.udp ? 6 : 2);
  };
  const next = pick([protocols.udp, 58]);
  const extended = pick([
    () => [next, datagram(next)] as const,
    () => [next, datagram(next)] as const,
    () => [0, Buffer.concat([Buffer.from([next, 0, 1, 4, 0, 0, 0, 0]), datagram(next)])] as const,
    () => [44, Buffer.concat([Buffer.from([next, 0, 0, 0, 0, 0, 0, palette.id & 0xff]), datagram(next)])] as const,
    () => [43, Buffer.concat([Buffer.from([next, 0, 0, 0, 0, 0, 0, 0]), datagram(next)])] as const,
    () => {
      const { key } = pick(palette.keys);
      const inner = ipv4(
        { src: pick(palette.innerSources), dst: pick(palette.innerTargets), id: palette.id },
        transportOf(palette)[1],
      );
      return [protocols.gre, gre({ type: types.ipv4, key }, inner).bytes("", "")] as const;
    },
  ])();
  return {
    story: `IPv6 ${src} > ${dst}, next header ${extended[0]}`,
    bytes: ipv6({ src, dst, next: extended[0], hopLimit: pick([64, 64, 1, 255]) }, extended[1]),
  };
}

const notIpv4 = (type: number, payload: Buffer): Content => ({
  type,
  ip: Buffer.alloc(0),
  header: Buffer.alloc(0),
  payload,
  protocol: "other",
});

const six: Rule = (palette) => {
  const { story, bytes } = sixOf(palette);
  return { shape: "IPv6", story, content: notIpv4(types.ipv6, bytes) };
};

/** Questions and answers about everybody's addresses. */
const addressResolution: Rule = (palette) => {
  const { pick } = palette.random;
  const [sender, target] = [pick(palette.sources), pick(palette.targets)];
  const operation = pick(["request", "reply"] as const);
  const mac = "02:09:00:00:00:09";
  const frame = arp({ operation, senderMac: mac, sender, targetMac: mac, target });
  const story = `ARP ${operation}, ${sender} to ${target}`;
  return { shape: "ARP", story, content: notIpv4(types.arp, Buffer.concat([frame.subarray(14), palette.nonce])) };
};

const otherType: Rule = (palette) => {
  const { pick } = palette.random;
  const type = pick([0x8847, 0x88cc, 0x8864, 0x9000, 0x86dd, 0x0800, 46]);
  return {
    shape: "another EtherType",
    story: `EtherType 0x${type.toString(16)}`,
    content: notIpv4(type, Buffer.concat([palette.random.bytes(20), palette.nonce])),
  };
};

/** More often what has got through somewhere once. */
const rules: readonly (readonly [weight: number, rule: Rule])[] = [
  [18, ordinary],
  [8, onConnection],
  [10, tunnelInside],
  [4, otherTunnel],
  [4, icmpError],
  [4, six],
  [2, addressResolution],
  [1, otherType],
];

const weighted = rules.flatMap(([weight, rule]) => Array.from({ length: weight }, () => rule));

export const drawContent = (palette: Palette): Drawn => palette.random.pick(weighted)(palette);
