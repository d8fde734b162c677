/** Packets in packets: what a tunnel's end might take out once more. */

import { ethernet, gre, ipv4, raw, type Transport, udp } from "../../test/bpf/support/packet.js";
import { tunnelMac } from "../frames/addresses.js";
import { protocols, types } from "../frames/layers.js";
import { contentOf, type Palette, type Rule, transportOf } from "./palette.js";
import { sixOf } from "./six.js";

/** A packet in GRE in GRE …: what is in it is aimed at a tenant, or at the world in a tenant's name. */
export function nested(
  palette: Palette,
  depth: number,
): { dst: string; story: string; transport: Transport; src: string } {
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

export const tunnelInside: Rule = (palette) => {
  const { src, dst, story, transport } = nested(palette, 1);
  return { shape: "GRE inside", story, content: contentOf(palette, src, dst, transport) };
};

/** IP in IP, IPv6 in IP, VXLAN and the like. */
export const otherTunnel: Rule = (palette) => {
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
