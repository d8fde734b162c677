/** IPv6 in all its forms, none of which a tenant has. */

import { gre, ipv4 } from "../../test/bpf/support/packet.js";
import { ipv6, withIpv6Checksum } from "../frames/ipv6.js";
import { protocols, types } from "../frames/layers.js";
import { type Palette, ports, transportOf } from "./palette.js";

export function sixOf(palette: Palette): { story: string; bytes: Buffer } {
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
