/**
 * Writes files as a compressed tar, by the system's tar. All that is written on the way lies in a folder beside the archive, which
 * nobody else may read, and goes at the end, whatever that is; the archive appears as a whole, or not at all.
 */

import { chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { toXgwError, UsageError, XgwError } from "../errors.js";
import { run } from "../kernel/spawn.js";

/** The folder that unpacking makes. */
const folder = "xgw-report";

/** @throws UsageError when the file is there already, or its folder is not */
export function checkTarget(file: string): void {
  if (existsSync(file)) throw alreadyThere(file);
  if (!existsSync(dirname(resolve(file))))
    throw new UsageError(`there is no folder ${dirname(file)}`, { remedy: "make it, or name a file elsewhere" });
}

const alreadyThere = (file: string) => new UsageError(`${file} is there already`, { remedy: "name another file" });

/** @throws UsageError, XgwError: nothing is left of it then */
export async function writeArchive(file: string, files: ReadonlyMap<string, string>): Promise<void> {
  const place = dirname(resolve(file));
  let work: string | undefined;
  try {
    work = mkdtempSync(join(place, ".xgw-report-"));
    for (const [name, text] of files) {
      const path = join(work, folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode: 0o600 });
    }
    const archive = join(work, "archive");
    await run("tar", ["-C", work, "--owner=0", "--group=0", "--sort=name", "-czf", archive, folder]);
    appear(archive, file);
  } catch (error) {
    throw asFailure(error, file, place);
  } finally {
    if (work !== undefined) rmSync(work, { recursive: true, force: true });
  }
}

/** A text of its own, for its owner alone. @throws UsageError, XgwError */
export function writePrivate(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw asFailure(error, file, dirname(resolve(file)));
  }
}

/** Unlike a rename, a link does not take the place of what somebody has made meanwhile. */
function appear(archive: string, file: string): void {
  chmodSync(archive, 0o600);
  linkSync(archive, file);
}

function asFailure(thrown: unknown, file: string, place: string): XgwError {
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === "EEXIST") return alreadyThere(file);
  if (code === "ENOSPC" || /No space left/.test(message))
    return new XgwError(`there is no room for ${file}`, {
      cause: thrown,
      remedy: `free some in ${place}, or name a file on another file system`,
    });
  return toXgwError(thrown);
}
