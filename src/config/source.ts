/** One YAML file: its value, and the line of every path in it. */

import { createReadStream, readFileSync, statSync } from "node:fs";
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  type LineCounter,
  type Node,
  visit,
} from "yaml";
import type { Problem } from "../errors.js";
import { formatPath, type Path } from "./finding.js";
import { type ParsedText, parseText, TooDeepError } from "./yaml-text.js";

/** A config of 8,191 tenants has about 20 MB; more than this is a mistake or an attack. */
export const maxFileBytes = 64 * 1024 * 1024;

/** More expansions of YAML aliases than this make a small file a huge one. */
const maxAliases = 1000;

export interface Source {
  readonly file: string;
  readonly value: unknown;
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
export function parseSource(file: string, text: string): Source {
  const value = parseValue(file, text);
  let again: ParsedText | undefined;
  const locate = (path: Path) => {
    again ??= parseText(text);
    return placeIn(again.lines, offsetOf(again.document, path));
  };
  return { file, value, locate };
}

function placeIn(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function parseValue(file: string, text: string): unknown {
  const { document, lines, secondDocument } = parse(file, text);
  const faults: Problem[] = [...document.errors, ...document.warnings].map((fault) => {
    return { file, ...placeIn(lines, fault.pos[0]), path: "", ...describeFault(fault.code, fault.message) };
  });
  if (secondDocument !== undefined) {
    const message = "more than one YAML document in the file";
    const remedy = "remove the `---`; further tenants go to tenants.d/";
    faults.push({ file, ...placeIn(lines, secondDocument), path: "", message, remedy });
  }
  if (faults.length > 0) throw new SourceError(oneAPlace(faults));
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) {
    throw wholeFile(file, "the file is empty", "write a config into it (docs/config.md), or remove it");
  }
  try {
    return document.toJS({ maxAliasCount: maxAliases });
  } catch (thrown) {
    const dangling = danglingAlias(document);
    if (dangling) {
      const message = `the alias *${dangling.source} has no anchor before it`;
      const remedy = `put &${dangling.source} before the value that is meant, or quotes around the text`;
      throw new SourceError([{ file, ...placeIn(lines, dangling.range?.[0] ?? 0), path: "", message, remedy }]);
    }
    throw wholeFile(file, `the aliases cannot be expanded (${(thrown as Error).message})`, "write the values out");
  }
}

/** The first alias that stands for nothing. */
function danglingAlias(document: Document.Parsed): Alias | undefined {
  let found: Alias | undefined;
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document)) return undefined;
      found = alias;
      return visit.BREAK;
    },
  });
  return found;
}

function parse(file: string, text: string): ParsedText {
  try {
    return parseText(text);
  } catch (thrown) {
    if (!(thrown instanceof TooDeepError)) throw thrown;
    throw wholeFile(file, `the file is ${thrown.message}`, "no config needs so many: look for unclosed brackets");
  }
}

function wholeFile(file: string, message: string, remedy: string): SourceError {
  return new SourceError([{ file, line: 0, column: 0, path: "", message, remedy }]);
}

/** One mistake can upset the parser several times at the same place; the first time says best why. */
function oneAPlace(problems: readonly Problem[]): Problem[] {
  const places = new Map<string, Problem>();
  for (const problem of problems) {
    const place = `${problem.line}:${problem.column}`;
    if (!places.has(place)) places.set(place, problem);
  }
  return [...places.values()];
}

/** The parser's message, and what usually mends it. */
function describeFault(code: string, message: string): { message: string; remedy: string } {
  const text = `not valid YAML: ${message.trim().replace(/\.$/, "")}`;
  switch (code) {
    case "DUPLICATE_KEY":
      return { message: "the same field twice in one map", remedy: "remove one of them" };
    case "TAB_AS_INDENT":
      return { message: text, remedy: "indent with spaces" };
    case "TAG_RESOLVE_FAILED":
      return { message: text, remedy: "remove the tag (the word that begins with !)" };
    case "BAD_INDENT":
    case "MISSING_CHAR":
    case "BLOCK_AS_IMPLICIT_KEY":
    case "BLOCK_IN_FLOW":
      return { message: text, remedy: "check the indentation, colons and brackets here and on the line above" };
    default:
      return { message: text, remedy: "correct the syntax here" };
  }
}

/** Byte offset of the value at a path, going through aliases to what they stand for. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, step] of path.entries()) {
    const target: Node | null | undefined = isAlias(node) ? node.resolve(document) : node;
    if (!isCollection(target)) return offset;
    if (isMap(target)) {
      const pair = target.items.find((item) => isScalar(item.key) && item.key.value === step);
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
