/** Capture files, as their formats' documents have them. */

import { endianness } from "node:os";

type Order = "LE" | "BE";

const words = (order: Order, ...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries())
    order === "LE" ? bytes.writeUInt32LE(value, 4 * at) : bytes.writeUInt32BE(value, 4 * at);
  return bytes;
};

/** @param cut bytes that each frame is cut to */
export function pcapOf(frames: readonly Buffer[], order: Order = endianness(), linkType = 1, cut = 65_535): Buffer {
  const version = order === "LE" ? 0x0004_0002 : 0x0002_0004;
  const records = frames.flatMap((frame) => {
    const kept = frame.subarray(0, cut);
    return [words(order, 1, 2, kept.length, frame.length), kept];
  });
  return Buffer.concat([words(order, 0xa1b2c3d4, version, 0, 0, cut, linkType), ...records]);
}

function block(order: Order, type: number, body: Buffer): Buffer {
  const size = 12 + ((body.length + 3) & ~3);
  const padding = Buffer.alloc(size - 12 - body.length);
  return Buffer.concat([words(order, type, size), body, padding, words(order, size)]);
}

/** With a block that nobody knows, and each frame by the last of so many interfaces. */
export function pcapngOf(frames: readonly Buffer[], order: Order = endianness(), linkTypes = [1]): Buffer {
  const half = (value: number) => words(order, order === "LE" ? value : value * 65_536);
  const section = block(
    order,
    0x0a0d0d0a,
    Buffer.concat([words(order, 0x1a2b3c4d), half(1), words(order, -1 >>> 0, -1 >>> 0)]),
  );
  const interfaces = linkTypes.map((type) => block(order, 1, Buffer.concat([half(type), words(order, 0)])));
  const packets = frames.map((frame) =>
    block(order, 6, Buffer.concat([words(order, linkTypes.length - 1, 0, 0, frame.length, frame.length), frame])),
  );
  return Buffer.concat([section, ...interfaces, block(order, 0x7777, Buffer.alloc(5)), ...packets]);
}
