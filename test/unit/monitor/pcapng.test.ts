import { endianness } from "node:os";
import { expect, it } from "vitest";
import { pcapngHeader, pcapngPacket } from "../../../src/monitor/pcapng.js";

const readU32 = (bytes: Buffer, at: number) =>
  endianness() === "LE" ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);

/** Type and bytes of each block; throws where one does not end as it begins. */
function blocksOf(file: Buffer): { type: number; body: Buffer }[] {
  const blocks = [];
  for (let at = 0; at < file.length; ) {
    const [type, length] = [readU32(file, at), readU32(file, at + 4)];
    if (readU32(file, at + length - 4) !== length) throw new Error(`block at ${at} has two lengths`);
    blocks.push({ type, body: file.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

const packet = {
  timeNs: 1_700_000_000_123_456_789n,
  link: "ip",
  bytes: Buffer.from("hello"),
  length: 90,
  comment: "why",
} as const;

it("a file begins with a section and an interface for each kind of link", () => {
  expect(blocksOf(pcapngHeader()).map(({ type }) => type)).toEqual([0x0a0d0d0a, 1, 1]);
});

it("a packet has its time, both lengths and its bytes", () => {
  const [block] = blocksOf(pcapngPacket(packet));
  const body = block?.body ?? Buffer.alloc(0);
  const [number, high, low, captured, length] = [0, 4, 8, 12, 16].map((at) => readU32(body, at));
  expect({ type: block?.type, number, captured, length, bytes: body.subarray(20, 25).toString() }).toEqual({
    ...{ type: 6, number: 1, captured: 5, length: 90, bytes: "hello" },
  });
  expect((BigInt(high ?? 0) << 32n) | BigInt(low ?? 0)).toBe(packet.timeNs);
});

it.each([0, 1, 2, 3, 4, 5])("a packet of %i bytes is filled up to words", (bytes) => {
  const [block] = blocksOf(pcapngPacket({ ...packet, bytes: Buffer.alloc(bytes, 1) }));
  expect((block?.body.length ?? 1) % 4).toBe(0);
});

it("the length of a packet is never less than what is there of it", () => {
  const [block] = blocksOf(pcapngPacket({ ...packet, length: 0 }));
  expect(readU32(block?.body ?? Buffer.alloc(20), 16)).toBe(5);
});
