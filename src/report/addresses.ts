/**
 * Stand-ins of addresses. IPv4 and IPv6 keep their prefixes: two addresses have as many leading bits in common as their
 * stand-ins, after the scheme of Crypto-PAn, where a bit is flipped or not by a keyed function of the bits before it. What means
 * the same on every machine (loopback, netmasks, multicast, broadcast) is left as it is.
 */

import { type Cipher, createCipheriv, createHmac, randomBytes } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";

interface Range {
  readonly start: bigint;
  readonly length: number;
}

interface Family {
  /** Of an address, bits. */
  readonly width: number;
  readonly parse: (text: string) => bigint;
  readonly format: (value: bigint) => string;
  /** Whose addresses stand for themselves. */
  readonly kept: readonly Range[];
  /** In these, addresses get stand-ins inside the range. */
  readonly closed: readonly Range[];
}

const range = (parse: (text: string) => bigint, start: string, length: number): Range => ({
  start: parse(start),
  length,
});

const ipv4: Family = {
  width: 32,
  parse: parseIpv4,
  format: formatIpv4,
  kept: [range(parseIpv4, "0.0.0.0", 8), range(parseIpv4, "127.0.0.0", 8), range(parseIpv4, "224.0.0.0", 3)],
  closed: [],
};

/** Of a neighbour's group: the last 24 bits are of its address. */
const solicitedNode = range(parseIpv6, "ff02::1:ff00:0", 104);

const ipv6: Family = {
  width: 128,
  parse: parseIpv6,
  format: formatIpv6,
  kept: [range(parseIpv6, "::", 127), range(parseIpv6, "ff00::", 8)],
  closed: [range(parseIpv6, "fe80::", 64), solicitedNode],
};

const mappedIpv4 = range(parseIpv6, "::ffff:0:0", 96);

const ipv4Pattern = String.raw`(?<!\d)(?:\d{1,3}\.){3}\d{1,3}(?!\d)`;
const macPattern = String.raw`(?<![\da-z])[\da-f]{2}(?<mark>[:-])[\da-f]{2}(?:\k<mark>[\da-f]{2}){4,}(?![\da-z])`;
const ipv6Pattern = String.raw`(?<![\da-z.])(?:[\da-f]{1,4})?(?::[\da-f]{0,4}){2,8}(?:\.\d{1,3}){0,3}`;

/** All that may be an address, in this order: MAC, IPv4 as a range, IPv4 or IPv6 with a length. */
const pattern = new RegExp(
  `(?<mac>${macPattern})|(?<first>${ipv4Pattern})-(?<last>${ipv4Pattern})|(?<address>${ipv6Pattern}|${ipv4Pattern})(?:/(?<length>\\d{1,3}))?`,
  "gi",
);

/** How often a key is drawn anew, for the sake of short prefixes that would stand for themselves or for one another. */
const maxDraws = 20;

export class AddressStandIns {
  /** Everything that has a stand-in, and which. */
  readonly replaced = new Map<string, string>();
  #key = randomBytes(32);
  #cipher: Cipher | undefined;

  /** @param text where addresses are that no stand-in may be one of */
  constructor(text: string) {
    const known = new Set<string>();
    this.replace(text, (between) => between);
    for (const original of this.replaced.keys()) known.add(original);
    for (let draw = 1; draw < maxDraws && [...this.replaced.values()].some((one) => known.has(one)); draw++) {
      this.#key = randomBytes(32);
      this.#cipher = undefined;
      this.replaced.clear();
      this.replace(text, (between) => between);
    }
    this.replaced.clear();
  }

  /** @param others what becomes of the text between addresses */
  replace(text: string, others: (between: string) => string): string {
    let result = "";
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      result += others(text.slice(end, match.index)) + this.#standIn(match);
      end = match.index + match[0].length;
    }
    return result + others(text.slice(end));
  }

  #standIn(match: RegExpExecArray): string {
    const { mac, first, last, address, length } = match.groups ?? {};
    if (mac !== undefined) return isSameMac(mac) ? mac : this.#remember(mac, () => this.#macFor(mac));
    if (first !== undefined && last !== undefined) return this.#rangeFor(first, last);
    if (address === undefined) return match[0];
    const suffix = length === undefined ? "" : `/${length}`;
    return this.#addressFor(address, suffix);
  }

  #addressFor(text: string, suffix: string): string {
    const family = familyOf(text);
    if (family) {
      if (isKept(family, text)) return text + suffix;
      const length = suffix === "" ? family.width : Number(suffix.slice(1));
      // The whole of a network is told by its length; without one it is as any other address.
      const isNetwork = length < family.width && hostBits(family, family.parse(text), length) === 0n;
      if (!isNetwork) return this.#remember(text, () => this.#bitsFor(family, text, family.width)) + suffix;
      return this.#remember(text + suffix, () => this.#bitsFor(family, text, length) + suffix);
    }
    // A colon behind an address, or words and hours with colons, in which there may be an IPv4 address.
    if (text.endsWith(":")) return `${this.#addressFor(text.slice(0, -1), "")}:${suffix}`;
    return text.replace(new RegExp(ipv4Pattern, "g"), (inside) => this.#addressFor(inside, "")) + suffix;
  }

  /** A range that is a network stays one. */
  #rangeFor(first: string, last: string): string {
    if (!isIPv4(first) || !isIPv4(last)) return `${this.#addressFor(first, "")}-${this.#addressFor(last, "")}`;
    const [from, to] = [parseIpv4(first), parseIpv4(last)];
    const size = to - from + 1n;
    const isNetwork = size > 1n && (size & (size - 1n)) === 0n && from % size === 0n;
    if (!isNetwork) return `${this.#addressFor(first, "")}-${this.#addressFor(last, "")}`;
    return this.#remember(`${first}-${last}`, () => {
      const start = parseIpv4(this.#bitsFor(ipv4, first, 33 - size.toString(2).length));
      return `${formatIpv4(start)}-${formatIpv4(start + size - 1n)}`;
    });
  }

  #remember(original: string, make: () => string): string {
    const known = this.replaced.get(original);
    if (known !== undefined) return known;
    const standIn = make();
    this.replaced.set(original, standIn);
    return standIn;
  }

  /** @param length of the bits that count: those behind it are 0 */
  #bitsFor(family: Family, text: string, length: number): string {
    const value = family.parse(text);
    if (family === ipv6 && isIn(ipv6, value, mappedIpv4) && length === 128)
      return `::ffff:${this.#addressFor(formatIpv4(value & 0xffff_ffffn), "")}`;
    const { width } = family;
    // Bits that lead to a range of those are not flipped, so that no other address gets there.
    const closed = [...family.kept, ...family.closed];
    const fixed = Math.max(...closed.map((one) => Math.min(commonBits(width, value, one.start), one.length - 1)));
    const flips = this.#keyedBits(width, value).map((bit, place) => (place > fixed && place < length ? bit : 0));
    const kept = value & ~((1n << BigInt(width - length)) - 1n);
    return family.format(kept ^ BigInt(`0b${flips.join("")}`));
  }

  /** For each bit of an address 1 when it is flipped, by a function of the bits before it. */
  #keyedBits(width: number, value: bigint): number[] {
    const bytes = Buffer.from(value.toString(16).padStart(width / 4, "0"), "hex");
    const blocks = Buffer.alloc(width * 16);
    for (let place = 0; place < width; place++) {
      // The bits before, a 1, and zeros: no two prefixes have the same block.
      const [whole, rest] = [place >> 3, place & 7];
      bytes.copy(blocks, place * 16, 0, whole);
      blocks[place * 16 + whole] = ((bytes[whole] ?? 0) & (0xff00 >> rest) & 0xff) | (0x80 >> rest);
    }
    this.#cipher ??= createCipheriv("aes-256-ecb", this.#key, null).setAutoPadding(false);
    const encrypted = this.#cipher.update(blocks);
    return Array.from({ length: width }, (_, place) => (encrypted[place * 16] ?? 0) & 1);
  }

  /** With the bit of addresses that no manufacturer has given. */
  #macFor(text: string): string {
    const separator = text[2] ?? ":";
    const bytes = text.split(separator);
    const digest = createHmac("sha256", this.#key).update(bytes.join(":").toLowerCase()).digest();
    const hex = Array.from(digest.subarray(0, bytes.length - 1), (byte) => byte.toString(16).padStart(2, "0"));
    return ["02", ...hex].join(separator);
  }
}

/** Of all devices without an address, and of broadcasts. */
const isSameMac = (text: string): boolean => /^(?:(?:00.?)+|(?:ff.?)+)$/i.test(text);

function familyOf(text: string): Family | undefined {
  return isIPv4(text) ? ipv4 : isIPv6(text) ? ipv6 : undefined;
}

function isKept(family: Family, text: string): boolean {
  const value = family.parse(text);
  if (family === ipv6 && isIn(ipv6, value, solicitedNode)) return false;
  return family.kept.some((one) => isIn(family, value, one));
}

const hostBits = ({ width }: Family, value: bigint, length: number): bigint =>
  value & ((1n << BigInt(width - length)) - 1n);

/** Leading bits that two addresses have in common. */
const commonBits = (width: number, a: bigint, b: bigint): number =>
  a === b ? width : width - (a ^ b).toString(2).length;

const isIn = ({ width }: Family, value: bigint, { start, length }: Range): boolean =>
  value >> BigInt(width - length) === start >> BigInt(width - length);

function parseIpv4(text: string): bigint {
  return text.split(".").reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function formatIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
}

function parseIpv6(text: string): bigint {
  // A URL's parser knows every way to write one, and makes the shortest.
  const [head = "", tail = ""] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const [before, after] = [head, tail].map((half) => half.split(":").filter(Boolean)) as [string[], string[]];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function formatIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, n) => ((value >> BigInt(16 * (7 - n))) & 0xffffn).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
