/** Packets as a pcapng file (draft-ietf-opsawg-pcapng), little-endian, with nanoseconds. */

import type { Captured } from "./event.js";

const blocks = { section: 0x0a0d0d0a, interface: 1, packet: 6 } as const;
const options = { end: 0, comment: 1, name: 2, timeResolution: 9 } as const;
/** By the order of the interfaces in the file; link types of tcpdump.org/linktypes.html. */
const interfaces = [
  { link: "ethernet", linkType: 1 },
  { link: "ip", linkType: 101 },
] as const;
/** Of a packet that is kept, at most: no limit. */
const snapLength = 0;

/** What a file begins with. */
export function pcapngHeader(): Buffer {
  const section = Buffer.alloc(16);
  section.writeUInt32LE(0x1a2b3c4d, 0);
  section.writeUInt16LE(1, 4); // version 1.0
  section.writeBigInt64LE(-1n, 8); // length of the section: it is not said
  return Buffer.concat([block(blocks.section, section), ...interfaces.map(interfaceBlock)]);
}

function interfaceBlock({ link, linkType }: (typeof interfaces)[number]): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(linkType, 0);
  body.writeUInt32LE(snapLength, 4);
  const nanoseconds = option(options.timeResolution, Buffer.from([9]));
  return block(blocks.interface, body, option(options.name, Buffer.from(`xgw ${link}`)), nanoseconds, endOfOptions);
}

/** @param timeNs since 1970 */
export function pcapngPacket({ link, length, bytes }: Captured, timeNs: bigint, comment: string): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32LE(
    interfaces.findIndex((one) => one.link === link),
    0,
  );
  head.writeUInt32LE(Number(timeNs >> 32n), 4);
  head.writeUInt32LE(Number(timeNs & 0xffff_ffffn), 8);
  head.writeUInt32LE(bytes.length, 12);
  head.writeUInt32LE(Math.max(length, bytes.length), 16);
  return block(blocks.packet, head, padded(bytes), option(options.comment, Buffer.from(comment)), endOfOptions);
}

function block(type: number, ...parts: readonly Buffer[]): Buffer {
  const length = 12 + parts.reduce((sum, part) => sum + part.length, 0);
  const [head, tail] = [Buffer.alloc(8), Buffer.alloc(4)];
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  tail.writeUInt32LE(length, 0);
  return Buffer.concat([head, ...parts, tail]);
}

function option(code: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

/** To a multiple of 4 bytes. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

const endOfOptions = option(options.end, Buffer.alloc(0));
