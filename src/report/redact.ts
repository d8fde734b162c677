/** Replaces addresses and names in all of a report, the same one by the same stand-in. Which stands for which is random. */

import { hostname } from "node:os";
import { CST, Lexer, parse } from "yaml";
import { readLinks } from "../kernel/rtnetlink.js";
import { instanceOf, ownerOf } from "../plan/owner.js";
import { AddressStandIns } from "./addresses.js";
import type { Collected } from "./collect.js";
import { type NameKind, NameStandIns } from "./names.js";

export class Redactor {
  readonly #addresses: AddressStandIns;
  readonly #names: NameStandIns;

  /** Learns from what was collected, and from this network namespace, which names there are. */
  constructor(collected: readonly Collected[]) {
    const configs = collected.filter(({ part }) => part.isConfig === true);
    this.#addresses = new AddressStandIns(configs.map(({ text }) => text).join("\n"));
    this.#names = new NameStandIns(findNames(collected, configs));
  }

  text(text: string): string {
    return this.#addresses.replace(text, (between) => this.#names.replace(between));
  }

  /** Undefined for a config that is no YAML: nobody knows then what is a name in it. */
  file({ part, text }: Collected): string | undefined {
    if (part.isConfig !== true) return this.text(text);
    return dataOf(text) === undefined ? undefined : this.text(withoutComments(text));
  }

  /** What stands for what: for who made the report, and nobody else. */
  mapping(): Record<string, string> {
    return Object.fromEntries([...this.#names.replaced, ...this.#addresses.replaced]);
  }
}

function findNames(collected: readonly Collected[], configs: readonly Collected[]): Map<string, NameKind> {
  const names = new Map<string, NameKind>();
  const add = (kind: NameKind, ...found: readonly (string | undefined)[]) => {
    for (const name of found) if (name && !names.has(name)) names.set(name, kind);
  };
  for (const { text } of configs) collectNames(dataOf(text), "", add);
  const own = hostname();
  add("host", own, own.split(".")[0], own.toLowerCase(), own.toLowerCase().split(".")[0]);
  for (const { name, alias = "" } of readLinks()) {
    const instance = instanceOf(alias);
    // The names of xgw's own devices tell the key only, and help whoever reads.
    if (instance !== undefined) add("tenant", alias.slice(ownerOf(instance, "").length));
    else if (name !== "lo") add("device", name);
  }
  for (const { text } of collected) {
    for (const [, name] of text.matchAll(/\baltname (\S+)/g)) add("device", name);
    // Of tenants that have gone, in logs.
    for (const [, name] of text.matchAll(/"tenant": ?"([^"\\]+)"/g)) add("tenant", name);
  }
  for (const { part } of configs) add("file", /([^/]+)\.yaml$/.exec(part.file)?.[1]);
  names.delete("xgw"); // the name of the main file
  return names;
}

/** Of a config, good or bad: `device` is a device's name, and so is the `name` of one of `nics`; another `name` is a tenant's. */
function collectNames(value: unknown, place: string, add: (kind: NameKind, name: string) => void): void {
  if (Array.isArray(value)) for (const one of value) collectNames(one, place, add);
  else if (value !== null && typeof value === "object")
    for (const [key, inside] of Object.entries(value)) {
      if (typeof inside === "object") collectNames(inside, key, add);
      else if (key === "device") add("device", String(inside));
      else if (key === "name") add(place === "nics" ? "device" : "tenant", String(inside));
    }
}

/** Undefined when it is no YAML with a map or a list. */
function dataOf(text: string): object | undefined {
  try {
    const data: unknown = parse(text, { maxAliasCount: 0, logLevel: "error" });
    return data !== null && typeof data === "object" ? data : undefined;
  } catch {
    return undefined;
  }
}

/** Its lines stay where they are, for others speak of them. */
function withoutComments(text: string): string {
  let result = "";
  let isScalar = false; // the lexeme after this mark is a scalar's text, whatever it begins with
  for (const lexeme of new Lexer().lex(text)) {
    const kind = CST.tokenType(lexeme);
    const isMark = [CST.BOM, CST.DOCUMENT, CST.FLOW_END, CST.SCALAR].includes(lexeme);
    if (!isMark && (isScalar || kind !== "comment")) result += lexeme;
    isScalar = lexeme === CST.SCALAR;
  }
  return result;
}
