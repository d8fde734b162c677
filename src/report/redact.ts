/** Replaces addresses and names in what a report collects, the same original by the same stand-in in every file of it. */

import { randomBytes, randomInt } from "node:crypto";
import { AddressStandIns } from "./address.js";

export type NameKind = "tenant" | "host" | "device" | "instance" | "file";

/** A name that nobody outside is to read. */
export interface Name {
  readonly name: string;
  readonly kind: NameKind;
}

const linkAddress = "(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5,}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])";
const ipv6 = "(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,}[0-9A-Fa-f.]*(?![0-9A-Za-z:])(?:/\\d{1,3})?";
const ipv4 = "(?<![0-9.])\\d{1,3}(?:\\.\\d{1,3}){3}(?![0-9]|\\.[0-9])(?:/\\d{1,2})?";

export class Redactor {
  readonly #addresses = new AddressStandIns(randomBytes(32));
  readonly #names: ReadonlyMap<string, string>;
  /** By their first letters and digits, the longest first. */
  readonly #beginnings = new Map<string, string[]>();
  /** Originals that were met, with their stand-ins. */
  readonly #met = new Map<string, string>();

  constructor(names: readonly Name[]) {
    this.#names = standInsFor(names);
    for (const name of [...this.#names.keys()].sort((a, b) => b.length - a.length)) {
      const [beginning = ""] = /[A-Za-z0-9]+/.exec(name) ?? [];
      this.#beginnings.set(beginning, [...(this.#beginnings.get(beginning) ?? []), name]);
    }
  }

  /** Of JSON the strings and the members' names; numbers are no names. */
  file(text: string): string {
    return mapJson(text, (value) => this.text(value)) ?? this.text(text);
  }

  text(text: string): string {
    let done = "";
    let at = 0;
    for (const { token, index } of this.#tokensOf(text)) {
      done += text.slice(at, index) + (this.#standIn(token) ?? token);
      at = index + token.length;
    }
    return done + text.slice(at);
  }

  /** Originals of the known names, and of addresses met so far, that a redacted file still has. */
  leaks(text: string): string[] {
    const found = new Set<string>();
    const look = (value: string) => {
      for (const { token } of this.#tokensOf(value)) {
        const [original = ""] = token.split("/");
        if (this.#names.has(token) || this.#met.has(original)) found.add(original);
      }
      return value;
    };
    if (mapJson(text, look) === undefined) look(text);
    return [...found];
  }

  /** Addresses, and known names: where no letter or digit goes on, so that `xdp_eth0` has eth0 in it, and `eth01` has not. */
  *#tokensOf(text: string): Generator<{ readonly token: string; readonly index: number }> {
    const tokens = new RegExp(`${linkAddress}|${ipv6}|${ipv4}|[A-Za-z0-9]+`, "g");
    for (let match = tokens.exec(text); match; match = tokens.exec(text)) {
      const { index, 0: word } = match;
      const name = this.#beginnings.get(word)?.find((one) => standsAt(text, one, index - one.indexOf(word)));
      if (name === undefined) {
        yield { token: word, index };
        continue;
      }
      const start = index - name.indexOf(word);
      tokens.lastIndex = start + name.length;
      yield { token: name, index: start };
    }
  }

  /** Which stand-in is for which original, sorted. */
  mapping(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#met].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #standIn(token: string): string | undefined {
    const name = this.#names.get(token);
    const standIn = name ?? this.#address(token);
    if (standIn === undefined) return undefined;
    const [original = "", length] = name === undefined ? token.split("/") : [token];
    if (length === undefined) this.#met.set(original, standIn);
    else this.#met.set(original, this.#met.get(original) ?? standIn.replace(/\/.*/, ""));
    return standIn;
  }

  #address(token: string): string | undefined {
    const [address = "", length] = token.split("/");
    const prefixLength = length === undefined ? undefined : Number(length);
    const end = length === undefined ? "" : `/${length}`;
    if (/^(?:[0-9A-Fa-f]{2}:){5,}[0-9A-Fa-f]{2}$/.test(address)) return this.#addresses.linkAddress(address);
    const standIn = address.includes(":")
      ? this.#addresses.ipv6(address, prefixLength)
      : /^[\d.]+$/.test(address) && isIPv4(address)
        ? this.#addresses.ipv4(address, prefixLength)
        : undefined;
    return standIn === undefined ? undefined : standIn + end;
  }
}

const isIPv4 = (text: string) => text.split(".").length === 4 && text.split(".").every((byte) => Number(byte) <= 255);

const standsAt = (text: string, name: string, index: number) =>
  text.startsWith(name, index) && !/[A-Za-z0-9]/.test(text.charAt(index + name.length));

/** By chance, so that two reports are not told to be of one machine; never a name that there is. */
function standInsFor(names: readonly Name[]): Map<string, string> {
  const left = [...new Map(names.map((one) => [one.name, one])).values()].filter(({ name }) => name !== "");
  const originals = new Set(left.map(({ name }) => name));
  const numbers = new Map<NameKind, number>();
  const standIns = new Map<string, string>();
  while (left.length > 0) {
    const [one] = left.splice(randomInt(left.length), 1);
    if (!one) break;
    let number = numbers.get(one.kind) ?? 0;
    do number++;
    while (originals.has(`${one.kind}${number}`));
    numbers.set(one.kind, number);
    standIns.set(one.name, `${one.kind}${number}`);
  }
  return standIns;
}

/** JSON with other strings, indented as it was or not; undefined when it is none. */
function mapJson(text: string, of: (value: string) => string): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  const map = (value: unknown): unknown => {
    if (typeof value === "string") return of(value);
    if (Array.isArray(value)) return value.map(map);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [of(name), map(member)]));
  };
  try {
    const value: unknown = JSON.parse(text);
    return `${JSON.stringify(map(value), null, text.trimEnd().includes("\n") ? 2 : undefined)}\n`;
  } catch {
    return undefined;
  }
}
