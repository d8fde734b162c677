/** The grammar: what a packet can be made of, by whoever controls what a host sends. All of it carries the nonce. */

import { arp, ipBytes, ipv4 } from "../../test/bpf/support/packet.js";
import type { Content } from "../frames/draft.js";
import { types } from "../frames/layers.js";
import { nested, otherTunnel, tunnelInside } from "./nested.js";
import { contentOf, type Drawn, icmpMessage, type Palette, type Rule, segment, transportOf } from "./palette.js";
import { sixOf } from "./six.js";

const notIpv4 = (type: number, payload: Buffer): Content => ({
  type,
  ip: Buffer.alloc(0),
  header: Buffer.alloc(0),
  payload,
  protocol: "other",
});

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

/** About a connection of somebody's, or about anything. */
const icmpError: Rule = (palette) => {
  const { pick } = palette.random;
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
    [5, 0],
    [5, 1],
    [11, 0],
    [12, 0],
    [4, 0],
  ] as const);
  // A redirect names the router to take instead, the others the MTU of the next link.
  const word = type === 5 ? ipBytes(pick(palette.targets)).readUInt32BE() : pick([0, 68, 576, 1000, 1400, 0xffff]);
  const story = `ICMP ${type}/${code} ${src} > ${dst}${tuple ? " about a connection" : ""}`;
  return {
    shape: "ICMP error",
    story,
    content: contentOf(palette, src, dst, icmpMessage(type, code, word, Buffer.concat([about, palette.nonce]))),
  };
};

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
