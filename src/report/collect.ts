/** Carries out the parts of a report, each within bounds of time and size. One that fails is told, and the others go on. */

import { createReadStream } from "node:fs";
import { toXgwError } from "../errors.js";
import { capture } from "../kernel/spawn.js";
import type { Part } from "./parts.js";

/** For all parts together, and for one, milliseconds. */
const totalMs = 180_000;
const partMs = 20_000;
/** Of a part, and of all, before they are compressed. */
const partBytes = 1024 * 1024;
const configBytes = 8 * 1024 * 1024;
const totalBytes = 32 * 1024 * 1024;

export interface Collected {
  readonly part: Part;
  /** What was run or read, for people. */
  readonly source: string;
  readonly text: string;
  readonly exitCode?: number;
  readonly milliseconds: number;
  /** Whether there was more. */
  readonly truncated: boolean;
  /** Why it is not there, or not whole. */
  readonly error?: string;
  /** The start of what it said on standard error. */
  readonly stderr?: string;
}

interface Taken {
  readonly bytes: Buffer;
  readonly truncated: boolean;
  readonly exitCode?: number | undefined;
  readonly error?: string;
  readonly stderr?: string;
}

export interface Surroundings {
  /** The command line of this xgw with its config, to which words are added. */
  readonly self: readonly [program: string, ...args: string[]];
  /** Told before each part. */
  readonly onPart?: (source: string) => void;
}

export async function collect(parts: readonly Part[], surroundings: Surroundings): Promise<Collected[]> {
  const end = performance.now() + totalMs;
  let left = totalBytes;
  const all: Collected[] = [];
  for (const part of parts) {
    const source = describe(part);
    surroundings.onPart?.(source);
    const start = performance.now();
    const bounds = {
      ms: Math.min(partMs, end - start),
      bytes: Math.min(part.isConfig ? configBytes : partBytes, left),
    };
    const taken = await take(part, surroundings, bounds).catch((thrown: unknown) =>
      nothing(toXgwError(thrown).message),
    );
    const text = textOf(taken, part);
    left -= text.length;
    const { exitCode, truncated, error, stderr } = taken;
    all.push({
      part,
      source,
      text,
      milliseconds: Math.round(performance.now() - start),
      truncated,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(error === undefined ? {} : { error }),
      ...(stderr === undefined || stderr === "" ? {} : { stderr }),
    });
  }
  return all;
}

const nothing = (error: string): Taken => ({ bytes: Buffer.alloc(0), truncated: false, error });

interface Bounds {
  readonly ms: number;
  readonly bytes: number;
}

function take(part: Part, { self }: Surroundings, { ms, bytes }: Bounds): Promise<Taken> {
  const { source, keep = "start" } = part;
  if (ms <= 0) return Promise.resolve(nothing(`left out: the report had its ${totalMs / 1000} s`));
  if (bytes <= 0) return Promise.resolve(nothing(`left out: the report had its ${totalBytes / 1024 / 1024} MiB`));
  if ("path" in source) return read(source.path, { ms, bytes });
  if ("url" in source) return download(source.url, { ms, bytes });
  const [program, ...args] = "xgw" in source ? ([...self, ...source.xgw] as const) : source.command;
  return execute(program ?? "", args, { ms, bytes }, keep);
}

async function execute(
  program: string,
  args: readonly string[],
  { ms, bytes }: Bounds,
  keep: "start" | "end",
): Promise<Taken> {
  const taken = await capture(program, args, { timeoutMs: ms, maxBytes: bytes, keep });
  const { stdout, stderr, exitCode, timedOut } = taken;
  const late = timedOut ? { error: `killed after ${Math.round(ms / 1000)} s` } : {};
  return { bytes: stdout, stderr, exitCode, truncated: taken.truncated || timedOut, ...late };
}

/** Files of /proc have no size that one could know before. */
async function read(path: string, { ms, bytes }: Bounds): Promise<Taken> {
  return gather(createReadStream(path, { signal: AbortSignal.timeout(Math.ceil(ms)) }), bytes);
}

async function download(url: string, { ms, bytes }: Bounds): Promise<Taken> {
  try {
    const { body, status } = await fetch(url, { signal: AbortSignal.timeout(Math.ceil(ms)) });
    const taken = await gather(body ?? [], bytes);
    return status === 200 ? taken : { ...taken, error: `HTTP status ${status}` };
  } catch (thrown) {
    const { cause, message } = thrown as Error;
    return nothing(cause instanceof Error ? cause.message : message);
  }
}

async function gather(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, most: number): Promise<Taken> {
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    kept.push(chunk);
    size += chunk.length;
    if (size > most) break;
  }
  return { bytes: Buffer.concat(kept).subarray(0, most), truncated: size > most };
}

/** What is cut off, is so at the end of a line: half an address could not be told from another one. */
function textOf({ bytes, truncated }: Taken, { keep = "start", lines }: Part): string {
  const all = bytes.toString("utf8");
  const text = !truncated
    ? all
    : keep === "start"
      ? all.slice(0, all.lastIndexOf("\n") + 1)
      : all.slice(all.indexOf("\n") + 1);
  if (!lines) return text;
  return text
    .split("\n")
    .filter((line) => lines.test(line))
    .join("\n");
}

function describe({ source }: Part): string {
  if ("path" in source) return source.path;
  if ("url" in source) return source.url;
  return "xgw" in source ? `xgw ${source.xgw.join(" ")}` : source.command.join(" ");
}
