/** One frame of a capture file, pcap or pcapng, or of hex digits. */

import { UsageError } from "../errors.js";

/** LINKTYPE_ETHERNET */
const ethernet = 1;
const pcapMagics = new Set([0xa1b2c3d4, 0xa1b23c4d]);
const blocks = { section: 0x0a0d0d0a, interface: 1, simple: 3, enhanced: 6 } as const;
const byteOrderMagic = 0x1a2b3c4d;

interface Captured {
  readonly bytes: Buffer;
  /** Of the packet as it was, of which the file may have less. */
  readonly length: number;
  readonly linkType: number;
}

/**
 * @param number from 1, as tcpdump and Wireshark count
 * @throws UsageError
 */
export function frameOfCapture(file: Buffer, number: number): Buffer {
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError(`--frame ${number} cannot be`, { remedy: "frames count from 1" });
  let seen = 0;
  for (const captured of packetsOf(file)) if (++seen === number) return checked(captured, number);
  throw new UsageError(`the file has ${seen} frames, and no frame ${number}`, { remedy: "name one of them" });
}

function checked({ bytes, length, linkType }: Captured, number: number): Buffer {
  if (linkType !== ethernet)
    throw new UsageError(`frame ${number} has no Ethernet header (link type ${linkType})`, {
      remedy: "capture on the NIC itself, not on `any`",
    });
  if (bytes.length < length)
    throw new UsageError(`frame ${number} was cut to ${bytes.length} of ${length} bytes`, {
      remedy: "capture whole packets (tcpdump -s 0)",
    });
  return bytes;
}

function* packetsOf(file: Buffer): Generator<Captured> {
  if (file.length >= 24 && pcapMagics.has(file.readUInt32LE(0))) yield* classic(reader(file, true));
  else if (file.length >= 24 && pcapMagics.has(file.readUInt32BE(0))) yield* classic(reader(file, false));
  else if (file.length >= 28 && file.readUInt32BE(0) === blocks.section) yield* blocksOf(file);
  else throw new UsageError("this is neither pcap nor pcapng", { remedy: "make it with tcpdump -w or Wireshark" });
}

interface Reader {
  readonly file: Buffer;
  u16(at: number): number;
  u32(at: number): number;
}

const reader = (file: Buffer, isLittle: boolean): Reader => ({
  file,
  u16: (at) => (isLittle ? file.readUInt16LE(at) : file.readUInt16BE(at)),
  u32: (at) => (isLittle ? file.readUInt32LE(at) : file.readUInt32BE(at)),
});

function* classic({ file, u32 }: Reader): Generator<Captured> {
  const linkType = u32(20) & 0xffff;
  for (let at = 24; at + 16 <= file.length; ) {
    const size = u32(at + 8);
    yield { bytes: file.subarray(at + 16, at + 16 + size), length: u32(at + 12), linkType };
    at += 16 + size;
  }
}

/** Each section has its own byte order and its own interfaces. */
function* blocksOf(file: Buffer): Generator<Captured> {
  let section = reader(file, true);
  let linkTypes: number[] = [];
  for (let at = 0; at + 12 <= file.length; ) {
    if (file.readUInt32BE(at) === blocks.section) {
      section = reader(file, file.readUInt32LE(at + 8) === byteOrderMagic);
      linkTypes = [];
    }
    const [type, size] = [section.u32(at), section.u32(at + 4)];
    if (size < 12 || at + size > file.length) return;
    if (type === blocks.interface) linkTypes.push(section.u16(at + 8));
    if (type === blocks.enhanced) {
      const [linkType = ethernet, kept] = [linkTypes[section.u32(at + 8)], section.u32(at + 20)];
      yield { bytes: file.subarray(at + 28, at + 28 + kept), length: section.u32(at + 24), linkType };
    }
    if (type === blocks.simple) {
      const length = section.u32(at + 8);
      yield {
        bytes: file.subarray(at + 12, at + Math.min(size - 4, 12 + length)),
        length,
        linkType: linkTypes[0] ?? 1,
      };
    }
    at += size;
  }
}

/** @throws UsageError */
export function frameOfHex(text: string): Buffer {
  const digits = text.replaceAll(/[\s:]|0x/g, "");
  if (!/^([0-9a-fA-F]{2})+$/.test(digits))
    throw new UsageError("--hex takes pairs of hex digits", {
      remedy: "give a whole frame, from the MAC addresses on",
    });
  return Buffer.from(digits, "hex");
}
