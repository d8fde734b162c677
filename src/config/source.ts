/** One YAML file: its value, and the line of every path in it. */

import { createReadStream, readFileSync, statSync } from "node:fs";
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  type LineCounter,
  type Node,
  type Pair,
  type YAMLMap,
} from "yaml";
import type { Problem } from "../errors.js";
import { type AliasFault, maxAddedNodes, resolveAliases } from "./aliases.js";
import { formatPath, type Path } from "./finding.js";
import { inTime, TooSlowError } from "./in-time.js";
import { type ParsedText, parseText, TooDeepError, TooLongError } from "./yaml-text.js";

/** A config of 8,191 tenants has about 20 MB; more than this is a mistake or an attack. */
export const maxFileBytes = 64 * 1024 * 1024;

/** Shorter texts are parsed in no time, whatever is in them, characters. */
const shortText = 65_536;
/**
 * How long a text may be parsed: some ten times what honest ones take on a slow machine, and in proportion to what is written.
 * What takes longer is made to.
 */
const parseLimitMs = (text: string): number => Math.min(20_000 + Math.round(text.length / 50), maxParseMs);
/** And no longer: nothing else goes on meanwhile, and where a place is asked for it is done twice. See WatchdogSec of the unit. */
export const maxParseMs = 60_000;

export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** Of its text: to find a place takes time and memory in proportion. */
  readonly characters: number;
  /** Where a path's value is; for a path that is not there, where the nearest thing above it is. */
  locate(path: Path): { readonly line: number; readonly column: number };
}

/** A file that could not be read or is not YAML: nothing of it can be used. */
export class SourceError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems[0]?.message ?? "unreadable");
    this.name = "SourceError";
    this.problems = problems;
  }
}

/** A problem of a source at a path inside it. */
export function problemAt(source: Source, path: Path, message: string, remedy: string): Problem {
  return { file: source.file, ...source.locate(path), path: formatPath(path), message, remedy };
}

export async function readSource(file: string): Promise<Source> {
  return parseSource(file, await readText(file));
}

/**
 * Places are found by parsing the text once more when the first is asked for: a right config asks for none, and need
 * not keep every node of every file in memory (some 100 bytes for each byte of text).
 *
 * @throws SourceError with every syntax error
 */
export function parseSource(file: string, text: string, limitMs = parseLimitMs(text)): Source {
  const value = withinBounds(file, text, limitMs, () => parseValue(file, text));
  let again: WeakRef<ParsedText> | undefined; // good as long as places are asked for in one go
  const locate = (path: Path) => {
    const parsed = again?.deref() ?? withinBounds(file, text, limitMs, () => parseAgain(text));
    again = new WeakRef(parsed);
    return placeIn(parsed.lines, offsetOf(parsed.document, path));
  };
  return { file, value, characters: text.length, locate };
}

function parseAgain(text: string): ParsedText {
  const parsed = parseText(text);
  resolveAliases(parsed.document);
  return parsed;
}

/** @throws SourceError, instead of the parser's about a text as such */
function withinBounds<T>(file: string, text: string, limitMs: number, work: () => T): T {
  try {
    return text.length > shortText ? inTime(limitMs, work) : work();
  } catch (thrown) {
    if (thrown instanceof TooDeepError)
      throw wholeFile(file, `the file is ${thrown.message}`, "no config needs so many: look for unclosed brackets");
    if (thrown instanceof TooLongError)
      throw wholeFile(file, `the file is ${thrown.message}`, "split its tenants over tenants.d/");
    if (thrown instanceof TooSlowError) {
      const message = `the file was not parsed within ${thrown.limitMs / 1000} s`;
      throw wholeFile(file, message, "no config takes so long: look for what it has by the thousands, or split it");
    }
    throw thrown;
  }
}

function placeIn(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function parseValue(file: string, text: string): unknown {
  const { document, lines, secondDocument } = parseText(text);
  const { faults: aliasFaults, repeatedKeys } = resolveAliases(document);
  const at = (offset: number, message: string, remedy: string): Problem => {
    return { file, ...placeIn(lines, offset), path: "", message, remedy };
  };
  const faults = [...document.errors, ...document.warnings].map(({ pos, code, message }) => {
    const told = describeFault(code, message);
    return at(pos[0], told.message, told.remedy);
  });
  for (const offset of repeatedKeys) faults.push(at(offset, "the same field twice in one map", "remove one of them"));
  if (secondDocument !== undefined)
    faults.push(
      at(
        secondDocument,
        "more than one YAML document in the file",
        "remove the `---`; further tenants go to tenants.d/",
      ),
    );
  if (faults.length > 0) throw new SourceError(oneAPlace(faults));
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) {
    throw wholeFile(file, "the file is empty", "write a config into it (docs/config.md), or remove it");
  }
  if (aliasFaults.length > 0) {
    throw new SourceError(
      aliasFaults.map((fault) => {
        const told = describeAlias(fault);
        return at(fault.alias.range?.[0] ?? 0, told.message, told.remedy);
      }),
    );
  }
  try {
    return document.toJS({ maxAliasCount: -1 });
  } catch (thrown) {
    throw wholeFile(file, `the aliases cannot be expanded (${(thrown as Error).message})`, "write the values out");
  }
}

function describeAlias({ kind, alias, addedNodes }: AliasFault): { message: string; remedy: string } {
  const name = `the alias *${alias.source}`;
  const anchor = `&${alias.source}`;
  switch (kind) {
    case "no anchor":
      return {
        message: `${name} has no anchor before it`,
        remedy: `put ${anchor} before the value that is meant, or quotes around the text`,
      };
    case "own anchor":
      return { message: `${name} stands inside of what it stands for`, remedy: "write out what is meant" };
    case "too many": {
      const [count, limit] = [addedNodes, maxAddedNodes].map((number) => number.toLocaleString("en"));
      return {
        message: `${name} makes the file too large: with its aliases it gains ${count} values and keys, of ${limit} that may be`,
        remedy: `shorten what ${anchor} stands for, or give fewer tenants all of it`,
      };
    }
  }
}

function wholeFile(file: string, message: string, remedy: string): SourceError {
  return new SourceError([{ file, line: 0, column: 0, path: "", message, remedy }]);
}

/** One mistake can upset the parser several times at the same place; the first time says best why. */
function oneAPlace(problems: readonly Problem[]): Problem[] {
  const places = new Map<string, Problem>();
  const inOrder = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  for (const problem of inOrder) {
    const place = `${problem.line}:${problem.column}`;
    if (!places.has(place)) places.set(place, problem);
  }
  return [...places.values()];
}

/** The parser's message, and what usually mends it. */
function describeFault(code: string, message: string): { message: string; remedy: string } {
  const text = `not valid YAML: ${message.trim().replace(/\.$/, "")}`;
  switch (code) {
    case "TAB_AS_INDENT":
      return { message: text, remedy: "indent with spaces" };
    case "TAG_RESOLVE_FAILED":
      return { message: text, remedy: "remove the tag (the word that begins with !)" };
    case "BAD_INDENT":
    case "MISSING_CHAR":
    case "BLOCK_AS_IMPLICIT_KEY":
    case "BLOCK_IN_FLOW":
      return {
        message: text,
        remedy: "check the indentation (spaces, no tabs), colons and brackets here and on the line above",
      };
    default:
      return { message: text, remedy: "correct the syntax here" };
  }
}

/** Of maps of which more than a few keys are asked for: those that are wrong are wrong by the thousands. */
const pairsByKey = new WeakMap<YAMLMap, ReadonlyMap<unknown, Pair>>();

function pairOf(map: YAMLMap, key: string | number): Pair | undefined {
  let pairs = pairsByKey.get(map);
  if (!pairs) {
    // Of a key that is there twice, the first.
    pairs = new Map([...map.items].reverse().flatMap((pair) => (isScalar(pair.key) ? [[pair.key.value, pair]] : [])));
    pairsByKey.set(map, pairs);
  }
  return pairs.get(key);
}

/** Byte offset of the value at a path, going through aliases to what they stand for. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, step] of path.entries()) {
    const target: Node | null | undefined = isAlias(node) ? node.resolve(document) : node;
    if (!isCollection(target)) return offset;
    if (isMap(target)) {
      const pair = pairOf(target, step);
      if (!pair) return offset;
      const key = pair.key as Node;
      node = pair.value as Node | null;
      // The value's place, but a field's own where the value is a block below it: that is where the eye looks.
      const useKey = index === path.length - 1 ? !isScalar(node) : false;
      offset = (useKey ? key.range?.[0] : (node?.range?.[0] ?? key.range?.[0])) ?? offset;
    } else {
      const item = target.items[step as number] as Node | undefined;
      if (!item) return offset;
      node = item;
      offset = node.range?.[0] ?? offset;
    }
  }
  return offset;
}

async function readText(file: string): Promise<string> {
  try {
    const stat = statSync(file);
    checkSize(file, stat.size);
    // Of thousands of files, each would wait for other threads several times.
    const bytes = stat.isFile() ? readFileSync(file) : await readPipe(file);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (thrown) {
    if (thrown instanceof SourceError) throw thrown;
    throw unreadable(file, thrown as NodeJS.ErrnoException);
  }
}

/** Until its other end is closed, or it is too much. */
async function readPipe(file: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of createReadStream(file)) {
    total += (chunk as Buffer).length;
    checkSize(file, total);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function checkSize(file: string, bytes: number): void {
  if (bytes <= maxFileBytes) return;
  const message = `the file is larger than ${maxFileBytes / 1024 / 1024} MiB`;
  throw wholeFile(file, message, "split its tenants over tenants.d/");
}

function unreadable(file: string, thrown: NodeJS.ErrnoException): SourceError {
  switch (thrown.code) {
    case "ENOENT":
      return wholeFile(file, "there is no such file", "create it, or name another with -c FILE");
    case "EACCES":
    case "EPERM":
      return wholeFile(
        file,
        "the file may not be read (permission denied)",
        "run xgw as root, or give its user the right to read it",
      );
    case "EISDIR":
      return wholeFile(file, "this is a directory", "name the YAML file in it");
    case "ENOTDIR":
      return wholeFile(file, "a part of the path is not a directory", "check the path");
    case "ELOOP":
      return wholeFile(file, "the symbolic links go round in a circle", "point the link at a file");
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return wholeFile(file, "the file is not UTF-8 text", "save it as UTF-8");
    default:
      return wholeFile(file, `the file cannot be read (${thrown.message})`, "check the path");
  }
}
