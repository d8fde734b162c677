/** Files that are there whole or not at all, also when the process or the machine dies. */

import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface FileOwner {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Takes the place of the file. It is on its disk when this returns; what is left of a try that died is a hidden file beside it. */
export function replaceFile(path: string, text: string, { mode, uid, gid }: FileOwner): void {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}.new`);
  const file = openSync(beside, "wx", 0o600);
  try {
    try {
      if (uid !== undefined && gid !== undefined) fchownSync(file, uid, gid);
      fchmodSync(file, mode);
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
