/** zod's issues in the words of an operator: what is wrong and what to write instead. */

import type { z } from "zod";
import type { Finding, Path } from "./finding.js";
import { nearest } from "./nearest.js";

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

/**
 * Findings for every issue of a failed parse.
 *
 * @param schema the schema that was parsed with, to know a place's fields and limits
 * @param value the value that was parsed, to show what was there
 */
export function describeIssues(schema: Schema, value: unknown, issues: readonly Issue[]): Finding[] {
  const findings = issues.flatMap((issue) => describe(schema, value, issue));
  const meant = new Set(findings.map((finding) => finding.meant).filter((key) => key !== undefined));
  const seen = new Set<string>();
  return findings
    .filter((finding) => !finding.missing?.some((key) => meant.has(key)))
    .filter((finding) => {
      const key = `${finding.path.join("/")}: ${finding.message}`;
      return !seen.has(key) && seen.add(key);
    })
    .map(({ path, message, remedy }) => ({ path, message, remedy }));
}

interface Described extends Finding {
  /** Joined paths of the fields of which one should be there. */
  readonly missing?: readonly string[];
  /** Joined path of the field that an unknown one was taken for: that one is not reported as missing too. */
  readonly meant?: string;
}

function describe(schema: Schema, root: unknown, issue: Issue): Described[] {
  const path = issue.path as Path;
  const value = at(root, path);
  const place = schemaAt(schema, path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownField(path, key, fieldsOf(place)));
    case "custom":
      return [
        { path, message: issue.message, remedy: String(issue.params?.remedy ?? ""), ...needed(path, issue.params) },
      ];
    case "too_small":
    case "too_big":
      if (issue.origin === "array")
        return [{ path, message: "the list is empty", remedy: "leave it out, or name at least one" }];
      return [{ path, message: `${show(value)} is out of range`, remedy: rangeRemedy(place, issue) }];
    case "invalid_value":
      return [wrongWord(path, value, issue.values.map(String))];
    case "invalid_union":
      return [wrongUnion(path, value, place, issue)];
    case "invalid_type":
      return [wrongType(path, value, issue.expected, place)];
    default:
      return [{ path, message: `${show(value)} is not valid: ${issue.message}`, remedy: "see docs/config.md" }];
  }
}

function unknownField(path: Path, key: string, known: readonly string[]): Described {
  const guess = nearest(key.slice(0, longestWord), known);
  return {
    path: [...path, key],
    message: `unknown field ${show(key)}`,
    remedy: guess === undefined ? `the fields here are ${known.join(", ")}` : `did you mean "${guess}"?`,
    ...(guess === undefined ? {} : { meant: [...path, guess].join("/") }),
  };
}

function wrongWord(path: Path, value: unknown, words: readonly string[]): Described {
  if (value === undefined) return missing(path, `write ${list(words)}`);
  const guess = typeof value === "string" ? nearest(value.slice(0, longestWord), words) : undefined;
  return {
    path,
    message: `unknown value ${show(value)}`,
    remedy:
      guess !== undefined && words.length > 1
        ? `did you mean ${guess}? The words are ${list(words)}`
        : `write ${list(words)}`,
  };
}

/** A value that fits none of a union's types: the issues of the type that it looks like say best why. */
function wrongUnion(
  path: Path,
  value: unknown,
  place: Schema | undefined,
  issue: Extract<Issue, { code: "invalid_union" }>,
): Described {
  const branches = issue.errors.map((branch) => branch[0]).filter((first) => first !== undefined);
  const custom = branches.find((first) => first.code === "custom");
  if (typeof value === "string" && custom) {
    return { path, message: custom.message, remedy: String(custom.params?.remedy ?? "") };
  }
  const range = branches.find((first) => first.code === "too_big" || first.code === "too_small");
  if (typeof value === "number" && range) {
    return { path, message: `${show(value)} is out of range`, remedy: rangeRemedy(place, range) };
  }
  const words = branches.find((first) => first.code === "invalid_value");
  if (!words) return { path, message: `${show(value)} is not a number or a range`, remedy: "write 22 or 8000-8100" };
  const finding = wrongWord(path, value, words.values.map(String));
  return { ...finding, remedy: `${finding.remedy}, or a protocol number from 0 to 255` };
}

const typeNames: Readonly<Record<string, string>> = {
  string: "text",
  int: "a whole number",
  number: "a whole number",
  array: "a list",
  object: "a map of fields",
  boolean: "true or false",
};

function wrongType(path: Path, value: unknown, expected: string, place: Schema | undefined): Described {
  if (value === undefined) return missing(path, hint(place) ?? "add it");
  if (value === null) {
    const none = expected === "array" ? "write [] for none, or remove the line" : "give it one, or remove the line";
    return { path, message: "the field has no value", remedy: none };
  }
  const message = `must be ${typeNames[expected] ?? expected}, not ${show(value)}`;
  return { path, message, remedy: typeRemedy(value, expected, place) };
}

function typeRemedy(value: unknown, expected: string, place: Schema | undefined): string {
  switch (expected) {
    case "string":
      return typeof value === "object" ? "write one word" : `put it in quotes: "${String(value)}"`;
    case "array":
      return typeof value === "object" ? "begin each item with '- '" : `write a list: [${String(value)}]`;
    case "object":
      return `write its fields: ${fieldsOf(place).join(", ")}`;
    case "boolean":
      return "write true or false, without quotes";
    default:
      return typeof value === "string" && /^\d+$/.test(value) ? "remove the quotes" : rangeRemedy(place, {});
  }
}

function missing(path: Path, remedy: string): Described {
  return { path, message: `the field "${String(path.at(-1))}" is missing`, remedy, missing: [path.join("/")] };
}

/** A custom issue may say in its parameters which fields it misses. */
function needed(path: Path, params: Record<string, unknown> | undefined): Pick<Described, "missing"> {
  const fields = params?.missing;
  return Array.isArray(fields) ? { missing: fields.map((field) => [...path, field].join("/")) } : {};
}

function hint(place: Schema | undefined): string | undefined {
  const description = place && descriptionOf(place);
  return description === undefined ? undefined : `add it: ${description.replace(/\.$/, "")}`;
}

function rangeRemedy(place: Schema | undefined, issue: { minimum?: unknown; maximum?: unknown }): string {
  const { minimum, maximum } = limitsOf(place);
  if (minimum !== undefined && maximum !== undefined) return `write a whole number from ${minimum} to ${maximum}`;
  if (issue.maximum !== undefined) return `the most is ${String(issue.maximum)}`;
  return issue.minimum === undefined ? "write a whole number" : `the least is ${String(issue.minimum)}`;
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** Of what is compared with what might be meant, and of what is shown, characters. */
const longestWord = 60;

/** A value for a message: short, and text in quotes. */
function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value !== null && typeof value === "object") return "a map of fields";
  if (typeof value !== "string") return value === null || value === undefined ? "nothing" : String(value);
  return JSON.stringify(value.length > longestWord ? `${value.slice(0, longestWord)}...` : value);
}

function at(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** The definitions below are what of zod's insides is needed to find a place's schema. */
interface Insides {
  readonly type: string;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly element?: Schema;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly options?: readonly Schema[];
  readonly checks?: readonly {
    readonly _zod: { readonly def: { readonly check: string; readonly value?: unknown } };
  }[];
}

function insidesOf(schema: Schema): Insides {
  return schema._zod.def as unknown as Insides;
}

function unwrap(schema: Schema): Schema {
  const insides = insidesOf(schema);
  const inner = insides.innerType ?? insides.in;
  return inner === undefined ? schema : unwrap(inner);
}

function schemaAt(schema: Schema, path: Path): Schema | undefined {
  let place: Schema | undefined = schema;
  for (const step of path) {
    const insides: Insides = insidesOf(unwrap(place));
    place = typeof step === "number" ? insides.element : insides.shape?.[step];
    if (place === undefined) return undefined;
  }
  return place;
}

function fieldsOf(place: Schema | undefined): string[] {
  return Object.keys((place && insidesOf(unwrap(place)).shape) ?? {});
}

function descriptionOf(place: Schema): string | undefined {
  return (place as { description?: string }).description;
}

/** Least and most of a number's schema, looking into a union for its number. */
function limitsOf(place: Schema | undefined): { minimum?: number; maximum?: number } {
  if (place === undefined) return {};
  const schema = unwrap(place);
  for (const option of insidesOf(schema).options ?? [schema]) {
    const limits: { minimum?: number; maximum?: number } = {};
    for (const check of insidesOf(unwrap(option)).checks ?? []) {
      const { check: kind, value } = check._zod.def;
      if (kind === "greater_than") limits.minimum = value as number;
      if (kind === "less_than") limits.maximum = value as number;
    }
    if (limits.maximum !== undefined) return limits;
  }
  return {};
}
