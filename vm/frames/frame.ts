/** Frames as they leave the gateway, taken apart. */

import { checksum } from "../../test/bpf/support/packet.js";
import type { Protocol, Tuple, Way, Wrap } from "./draft.js";

export interface Sight {
  readonly etherType: number;
  /** Offsets of headers; undefined where there is none. */
  readonly outer?: number;
  readonly gre?: number;
  readonly innerEth?: number;
  /** The packet that the tenant sees, or the only one. */
  readonly ip?: number;
  readonly wrap: Wrap;
  /** EtherType of what is in the tunnel, or on the NIC where it is not tunnelled. */
  readonly innerType: number;
}

const vlanTypes = [0x8100, 0x88a8];

export function look(frame: Buffer): Sight {
  let at = 12;
  while (frame.length >= at + 6 && vlanTypes.includes(frame.readUInt16BE(at))) at += 4;
  const etherType = frame.readUInt16BE(at);
  const outer = at + 2;
  const none = { etherType, wrap: "plain", innerType: etherType } as const;
  if (etherType !== 0x0800 || frame.length < outer + 20) return none;
  const gre = outer + ((frame[outer] ?? 0) & 15) * 4;
  if (frame[outer + 9] !== 47 || frame.length < gre + 8) return { ...none, ip: outer };
  const innerType = frame.readUInt16BE(gre + 2);
  const inner = gre + 8;
  if (innerType === 0x0800) return { etherType, outer, gre, ip: inner, wrap: "gre", innerType };
  if (innerType !== 0x6558 || frame.length < inner + 14) return { etherType, outer, gre, wrap: "gre", innerType };
  const bridged = frame.readUInt16BE(inner + 12);
  const sight = { etherType, outer, gre, innerEth: inner, wrap: "gretap", innerType: bridged } as const;
  return bridged === 0x0800 && frame.length >= inner + 34 ? { ...sight, ip: inner + 14 } : sight;
}

const mac = (bytes: Buffer) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

/** A packet as its sender sends it. */
export interface Answer {
  readonly way: Way;
  readonly tuple: Tuple;
}

/** How, and with what tuple, an answer to a frame that left the gateway arrives there: everything turned round. */
export function answerTo(frame: Buffer, wire: number): Answer | undefined {
  const { outer, gre, innerEth, ip, wrap } = look(frame);
  if (ip === undefined) return undefined;
  const protocol: Protocol | undefined = { 6: "tcp", 17: "udp" }[frame[ip + 9] ?? 0] as Protocol | undefined;
  if (protocol === undefined) return undefined;
  const address = (at: number) => frame.subarray(at, at + 4).join(".");
  const macsAt = (at: number) => [mac(frame.subarray(at, at + 6)), mac(frame.subarray(at + 6, at + 12))] as const;
  const [far, near] = macsAt(0);
  const vlans: (readonly [number, number])[] = [];
  for (let at = 12; vlanTypes.includes(frame.readUInt16BE(at)); at += 4)
    vlans.push([frame.readUInt16BE(at), frame.readUInt16BE(at + 2)]);
  const transport = ip + 20;
  return {
    way: {
      wire,
      wrap,
      sourceMac: far,
      gatewayMac: near,
      vlans,
      ...(outer === undefined || gre === undefined
        ? {}
        : {
            tunnel: {
              endpoint: address(outer + 16),
              gateway: address(outer + 12),
              key: frame.readUInt32BE(gre + 4),
              ...(innerEth === undefined ? {} : { macs: macsAt(innerEth) }),
            },
          }),
    },
    tuple: {
      protocol,
      src: address(ip + 16),
      dst: address(ip + 12),
      sport: frame.readUInt16BE(transport + 2),
      dport: frame.readUInt16BE(transport),
    },
  };
}

/** Whether the IP header there has a right checksum; false where it is cut off. */
export function isIpChecksumRight(frame: Buffer, at: number): boolean {
  const length = ((frame[at] ?? 0) & 15) * 4;
  return length >= 20 && frame.length >= at + length && checksum(frame.subarray(at, at + length)) === 0;
}

/** Zeroes the id of the IP header there, as if it had been sent so; a wrong checksum stays visibly wrong. */
export function withoutId(frame: Buffer, at: number): Buffer {
  const copy = Buffer.from(frame);
  const isRight = isIpChecksumRight(frame, at);
  copy.writeUInt16BE(0, at + 4);
  if (!isRight) return copy;
  copy.writeUInt16BE(0, at + 10);
  copy.writeUInt16BE(checksum(copy.subarray(at, at + ((frame[at] ?? 0) & 15) * 4)), at + 10);
  return copy;
}

/** XDP sends tunnelled packets with id 0 (RFC 6864 lets it, as they have DF), the kernel with random ones. */
export function isSentByXdp(frame: Buffer): boolean {
  const { outer } = look(frame);
  return outer !== undefined && frame.readUInt16BE(outer + 4) === 0;
}

/** Without what lies behind the inner packet in the tunnel, as if it had been sent so. */
export function withoutInnerPadding(frame: Buffer): Buffer {
  const { outer, ip } = look(frame);
  if (outer === undefined || ip === undefined) return frame;
  const end = ip + frame.readUInt16BE(ip + 2);
  if (end >= frame.length) return frame;
  const copy = Buffer.from(frame.subarray(0, end));
  copy.writeUInt16BE(end - outer, outer + 2);
  copy.writeUInt16BE(0, outer + 10);
  copy.writeUInt16BE(checksum(copy.subarray(outer, outer + 20)), outer + 10);
  return copy;
}
