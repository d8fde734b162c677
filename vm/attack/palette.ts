/** What senders draw from, and the packets that need no more: transport headers over the nonce. */

import { checksum, raw, type TcpFlag, type Transport, tcp, udp } from "../../test/bpf/support/packet.js";
import type { Random } from "../../test/bpf/support/random.js";
import { type Content, ipHeader } from "../frames/draft.js";
import { protocols } from "../frames/layers.js";
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

export type Rule = (palette: Palette) => Drawn;

export const ports = ({ random: { pick, integer }, ports: known }: Palette) => ({
  sport: pick([integer(1, 65535), pick(known)]),
  dport: pick([pick(known), pick(known), integer(1, 65535)]),
});

export const segment = (palette: Pick<Palette, "nonce">, tuple: Tuple, flags: readonly TcpFlag[]): Transport =>
  tuple.protocol === protocols.tcp
    ? tcp({ sport: tuple.sport, dport: tuple.dport, flags, payload: palette.nonce })
    : udp({ sport: tuple.sport, dport: tuple.dport, payload: palette.nonce });

export function icmpMessage(type: number, code: number, word: number, payload: Uint8Array): Transport {
  const message = Buffer.concat([Buffer.from([type, code, 0, 0]), Buffer.alloc(4), payload]);
  message.writeUInt32BE(word >>> 0, 4);
  message.writeUInt16BE(checksum(message), 2);
  return raw(protocols.icmp, message);
}

/** As the layers of a draft, so that things can be done to it. */
export function contentOf({ id }: Pick<Palette, "id">, src: string, dst: string, transport: Transport): Content {
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

export function transportOf(palette: Palette): [what: string, transport: Transport] {
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
