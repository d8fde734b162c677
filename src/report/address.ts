/**
 * Stand-ins for addresses: the same one for the same address, and as many leading bits in common as the originals have, so that
 * who is in which network stays visible. Each bit is turned or not by a keyed hash of the bits in front of it.
 */

import { createHmac } from "node:crypto";
import { isIPv6 } from "node:net";

/** Leading bits that say what kind of address it is, and stay. */
type Kinds = readonly (readonly [bytes: readonly number[], length: number])[];
const kinds: Kinds = [
  [[127], 8],
  [[169, 254], 16],
  [[224], 4],
];
const kinds6: Kinds = [
  [[0xfe, 0x80, 0, 0, 0, 0, 0, 0], 64],
  [[0xff], 8],
];

export class AddressStandIns {
  readonly #cache = new Map<string, Buffer>();

  /** @param key of the hash, random */
  constructor(private readonly key: Buffer) {}

  /**
   * @param prefixLength when the address is a network's: then its stand-in has no host bits either
   * @returns undefined for what is no address, or one that says nothing of anybody (0.0.0.0, masks, loopback)
   */
  ipv4(text: string, prefixLength?: number): string | undefined {
    const bytes = Buffer.from(text.split(".").map(Number));
    if (isPlain4(bytes)) return undefined;
    return this.#network(bytes, kinds, prefixLength)?.join(".");
  }

  /** As `ipv4` does; in groups without `::`. */
  ipv6(text: string, prefixLength?: number): string | undefined {
    const bytes = ipv6Bytes(text);
    if (!bytes || bytes.subarray(0, 15).every((byte) => byte === 0)) return undefined;
    const standIn = this.#network(bytes, kinds6, prefixLength);
    if (!standIn) return undefined;
    const groups = Array.from({ length: 8 }, (_, n) => standIn.readUInt16BE(2 * n).toString(16));
    return groups.join(":");
  }

  /** Of any number of bytes; locally administered, for one host. */
  linkAddress(text: string): string | undefined {
    const bytes = Buffer.from(text.split(":").map((byte) => Number.parseInt(byte, 16)));
    if (bytes.every((byte) => byte === 0) || bytes.every((byte) => byte === 255)) return undefined;
    const digest = this.#hash(`mac ${bytes.toString("hex")}`).subarray(0, bytes.length);
    const standIn = Buffer.from(digest);
    standIn[0] = ((digest[0] ?? 0) & 0xfc) | 2;
    return [...standIn].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  }

  /** @returns undefined for the network of all addresses of a kind */
  #network(bytes: Buffer, kinds: Kinds, prefixLength = 8 * bytes.length): Buffer | undefined {
    const kept = kinds.find(([start, length]) => startsWith(bytes, start, length))?.[1] ?? 0;
    const isNetwork = hostBits(bytes, prefixLength).every((bit) => bit === 0);
    if (isNetwork && prefixLength <= kept) return undefined;
    const standIn = Buffer.from(this.#preserving(bytes, kept));
    if (isNetwork) for (let bit = prefixLength; bit < 8 * bytes.length; bit++) setBit(standIn, bit, 0);
    return standIn;
  }

  /** @param kept leading bits that stay */
  #preserving(bytes: Buffer, kept: number): Buffer {
    const id = bytes.toString("hex");
    const known = this.#cache.get(id);
    if (known) return known;
    const standIn = Buffer.from(bytes);
    for (let bit = kept; bit < 8 * bytes.length; bit++) {
      const before = Buffer.from(bytes);
      for (let rest = bit; rest < 8 * bytes.length; rest++) setBit(before, rest, 0);
      const turn = (this.#hash(`${bytes.length} ${bit} ${before.toString("hex")}`)[0] ?? 0) & 1;
      setBit(standIn, bit, bitOf(bytes, bit) ^ turn);
    }
    this.#cache.set(id, standIn);
    return standIn;
  }

  #hash(text: string): Buffer {
    return createHmac("sha256", this.key).update(text).digest();
  }
}

/** Of nobody: this network, and masks, whose bits are ones first and zeros then. */
function isPlain4(bytes: Buffer): boolean {
  if (bytes.length !== 4) return true;
  const number = bytes.readUInt32BE();
  const rest = ~number >>> 0;
  return number === 0 || number === 0x7f000001 || (number >= 0xff000000 && (rest & (rest + 1)) === 0);
}

/** The 16 bytes of an address in words; undefined when it is none. */
function ipv6Bytes(text: string): Buffer | undefined {
  if (!isIPv6(text)) return undefined;
  const hex = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [256 * Number(a) + Number(b), 256 * Number(c) + Number(d)].map((group) => group.toString(16)).join(":"),
  );
  const [head = "", tail] = hex.split("::");
  const groupsOf = (part: string) => (part === "" ? [] : part.split(":"));
  const [before, after] = [groupsOf(head), groupsOf(tail ?? "")];
  const groups = [...before, ...new Array(8 - before.length - after.length).fill("0"), ...after];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}

const bitOf = (bytes: Buffer, bit: number) => ((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1;

function setBit(bytes: Buffer, bit: number, value: number): void {
  const mask = 0x80 >> (bit & 7);
  bytes[bit >> 3] = value ? (bytes[bit >> 3] ?? 0) | mask : (bytes[bit >> 3] ?? 0) & ~mask;
}

const hostBits = (bytes: Buffer, length: number) =>
  Array.from({ length: Math.max(0, 8 * bytes.length - length) }, (_, n) => bitOf(bytes, length + n));

function startsWith(bytes: Buffer, start: readonly number[], length: number): boolean {
  const other = Buffer.from(start);
  return Array.from({ length }, (_, bit) => bitOf(bytes, bit) === bitOf(other, bit)).every(Boolean);
}
