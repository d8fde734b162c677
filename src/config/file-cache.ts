/** Parsed files, so that a config of thousands is read again in the time that the changed ones take. */

import { lstatSync, statSync } from "node:fs";
import { readSource, type Source } from "./source.js";

/**
 * A file that was written so shortly before it was read, milliseconds, may be written again within the same tick of the
 * file system's clock and look the same: it is not kept. Ticks are 10 ms at most (CONFIG_HZ=100).
 */
const settledMs = 50;

/** Paths of files that may have changed. */
export type Doubtful = ReadonlySet<string> | "all";

interface Kept {
  readonly stamp: string;
  readonly source: Source;
  /** What it leads to changes without a word in its folder. */
  readonly isLink: boolean;
}

export class FileCache {
  private files = new Map<string, Kept>();
  private used = new Map<string, Kept>();
  private doubtful: Doubtful = "all";
  private readonly derived = new WeakMap<object, unknown>();
  /** Files that are links, whether they are kept or not: of the last reading, and of this one. */
  private links = new Set<string>();
  private linksRead = new Set<string>();

  /** For the next reading: no other file than these can have changed since the last one. Without a word all may have. */
  doubt(files: Doubtful): void {
    this.doubtful = files;
  }

  /** Ends a reading. Forgets the files that have not been read since the last time, for they are gone. */
  sweep(): void {
    this.files = this.used;
    this.used = new Map();
    this.doubtful = "all";
    this.links = this.linksRead;
    this.linksRead = new Set();
  }

  /** Ends a reading of a few files: the others stay as they are. */
  sweepOnly(files: Iterable<string>): void {
    for (const file of files) {
      const kept = this.used.get(file);
      if (kept) this.files.set(file, kept);
      else this.files.delete(file);
    }
    this.used = new Map();
    this.doubtful = "all";
  }

  /** Some change without a word. */
  get hasLinks(): boolean {
    return this.links.size + this.linksRead.size > 0;
  }

  /** A file that cannot have changed. */
  known(file: string): Source | undefined {
    const known = this.files.get(file);
    if (!known || this.doubtful === "all" || known.isLink || this.doubtful.has(file)) return undefined;
    return this.keep(file, known);
  }

  /** @throws SourceError, which is not kept */
  async read(file: string): Promise<Source> {
    const sure = this.known(file);
    if (sure) return sure;
    const known = this.files.get(file) ?? this.used.get(file);
    const stamp = stampOf(file);
    if (known && stamp !== undefined && known.stamp === stamp) return this.keep(file, known);
    const source = await readSource(file);
    const isLink = lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
    if (isLink) this.linksRead.add(file);
    if (stamp !== undefined && stamp === stampOf(file)) this.keep(file, { stamp, source, isLink });
    return source;
  }

  private keep(file: string, kept: Kept): Source {
    this.used.set(file, kept);
    if (kept.isLink) this.linksRead.add(file);
    return kept.source;
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
