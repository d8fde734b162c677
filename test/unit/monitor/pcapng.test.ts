import { expect, it } from "vitest";
import { pcapngHeader, pcapngPacket } from "../../../src/monitor/pcapng.js";

/** Types and lengths of blocks, as their heads and their ends say. */
function blocksOf(file: Buffer): { type: number; length: number; again: number }[] {
  const blocks = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 4);
    blocks.push({ type: file.readUInt32LE(at), length, again: file.readUInt32LE(at + length - 4) });
    at += length;
  }
  return blocks;
}

it("a file begins with a section and two interfaces", () => {
  expect(blocksOf(pcapngHeader()).map(({ type }) => type)).toEqual([0x0a0d0d0a, 1, 1]);
});

it("each block says its length at both ends, a multiple of 4, whatever the packet's", () => {
  for (const bytes of [0, 1, 2, 3, 4, 61].map((length) => Buffer.alloc(length, 1))) {
    const [block, ...others] = blocksOf(pcapngPacket({ link: "ip", length: 1500, bytes }, 1n, "why"));
    expect(others).toEqual([]);
    expect([block?.again, (block?.length ?? 1) % 4]).toEqual([block?.length, 0]);
  }
});

it("a packet that was cut says how long it was", () => {
  const packet = pcapngPacket({ link: "ethernet", length: 1500, bytes: Buffer.alloc(128) }, 5n << 32n, "");
  expect([packet.readUInt32LE(12), packet.readUInt32LE(20), packet.readUInt32LE(24)]).toEqual([5, 128, 1500]);
});
