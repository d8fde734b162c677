/** Parsed files, so that a config of thousands is read again in the time that the changed ones take. */

import { statSync } from "node:fs";
import { readSource, type Source } from "./source.js";

/**
 * A file that was written so shortly before it was read, milliseconds, may be written again within the same tick of the
 * file system's clock and look the same: it is not kept. Ticks are 10 ms at most (CONFIG_HZ=100).
 */
const settledMs = 50;

interface Kept {
  readonly stamp: string;
  readonly source: Source;
}

export class FileCache {
  private files = new Map<string, Kept>();
  private used = new Map<string, Kept>();
  private readonly derived = new WeakMap<object, unknown>();

  /** Forgets the files that have not been read since the last time, for they are gone. */
  sweep(): void {
    this.files = this.used;
    this.used = new Map();
  }

  /** @throws SourceError, which is not kept */
  async read(file: string): Promise<Source> {
    const stamp = stampOf(file);
    const known = this.files.get(file) ?? this.used.get(file);
    if (known && stamp !== undefined && known.stamp === stamp) {
      this.used.set(file, known);
      return known.source;
    }
    const source = await readSource(file);
    if (stamp !== undefined && stamp === stampOf(file)) this.used.set(file, { stamp, source });
    return source;
  }

  /** What the function made of a part of a source's value; made once as long as the source is kept. */
  derive<T>(value: unknown, make: () => T): T {
    if (value === null || typeof value !== "object") return make();
    if (!this.derived.has(value)) this.derived.set(value, make());
    return this.derived.get(value) as T;
  }
}

/** What changes when a file does; undefined where that cannot be told. */
function stampOf(file: string): string | undefined {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (!stat || Date.now() - Number(stat.ctimeMs) < settledMs) return undefined;
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}
