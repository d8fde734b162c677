/** IPv4 addresses as unsigned 32-bit integers in host order, and prefixes over them. Nothing here throws. */

import type { Range } from "./desired.js";

export interface Prefix {
  /** Unsigned 32-bit; host bits are kept as written. */
  readonly address: number;
  /** 0 to 32. */
  readonly length: number;
}

/** The whole address space, as a range. */
export const anyAddress: Range = { from: 0, to: 0xffff_ffff };

/** A dotted quad as an unsigned 32-bit integer; undefined for anything else, leading zeros (octal to some) included. */
export function parseAddress(text: string): number | undefined {
  let address = 0;
  let octet = -1; // before its first digit
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) {
      if (octet === 0) return undefined;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return undefined;
    } else if (text[at] === "." && octet >= 0) {
      address = address * 256 + octet;
      octet = -1;
      dots++;
    } else return undefined;
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : undefined;
}

export function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** `a.b.c.d/len`, host bits allowed; undefined for anything else. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d?)$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  return length > 32 ? undefined : { address, length };
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

/** The netmask of a length, as an unsigned 32-bit integer. (A shift by 32 would be a shift by 0.) */
export function maskOf(length: number): number {
  return length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
}

/** The same prefix with its host bits cleared. */
export function networkOf(prefix: Prefix): Prefix {
  return { address: (prefix.address & maskOf(prefix.length)) >>> 0, length: prefix.length };
}

/** First and last address of a prefix. */
export function rangeOf(prefix: Prefix): Range {
  const mask = maskOf(prefix.length);
  const from = (prefix.address & mask) >>> 0;
  return { from, to: (from | (~mask >>> 0)) >>> 0 };
}

export function prefixContains(prefix: Prefix, address: number): boolean {
  const range = rangeOf(prefix);
  return range.from <= address && address <= range.to;
}

/** Why an address cannot be a host's, or undefined when it can. */
export function whyNotUnicast(address: number): string | undefined {
  const first = address >>> 24;
  if (first === 0) return "lies in 0.0.0.0/8, which is no host's";
  if (first === 127) return "is a loopback address";
  if (address === 0xffff_ffff) return "is the broadcast address";
  if (first >= 240) return "lies in 240.0.0.0/4, which is reserved";
  if (first >= 224) return "is a multicast address";
  return undefined;
}
