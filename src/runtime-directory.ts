/**
 * `/run/xgw`, where locks and the daemon's socket are: files that nobody but root can make, sit on or open. What belongs to a
 * network namespace has its number in its name.
 */

import { lstatSync, mkdirSync, type Stats } from "node:fs";
import { join } from "node:path";
import { ForeignError, PermissionError, XgwError } from "./errors.js";
import { namespaceInode } from "./kernel/namespace.js";

export const runtimeDirectory = "/run/xgw";

const ownUid = () => process.geteuid?.() ?? 0;

/** Whether a process of this user may be believed: root, and whoever this process is. */
export const isTrusted = (uid: number): boolean => uid === 0 || uid === ownUid();

/** The path of a file of this network namespace: `<directory>/<inode of the namespace>.<name>`. */
export const runtimeFile = (name: string, directory = runtimeDirectory): string =>
  join(directory, `${namespaceInode()}.${name}`);

/**
 * Makes the directory if it is not there, and sees that nobody else can write to it.
 *
 * @throws ForeignError when it is somebody else's, others may write to it, or it is no directory; PermissionError when this user
 *   cannot make or use it
 */
export function prepareRuntimeDirectory(directory = runtimeDirectory): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code !== "EEXIST") throw unusable(directory, thrown as NodeJS.ErrnoException);
  }
  checkRuntimeDirectory(directory);
}

/** @returns false when it is not there @throws as `prepareRuntimeDirectory` does */
export function checkRuntimeDirectory(directory = runtimeDirectory): boolean {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  if (!stat) return false;
  const fault = faultOf(stat);
  if (fault !== undefined)
    throw new ForeignError(`${directory} ${fault}: others could hold xgw's locks, or answer for its daemon`, {
      remedy: "remove it; xgw makes it anew, with mode 0700",
      details: { directory },
    });
  if (stat.uid !== ownUid()) throw unusable(directory, { code: "EACCES" });
  return true;
}

function faultOf(stat: Stats): string | undefined {
  if (stat.isSymbolicLink()) return "is a symbolic link";
  if (!stat.isDirectory()) return "is no directory";
  if (!isTrusted(stat.uid)) return `belongs to user ${stat.uid}`;
  if ((stat.mode & 0o022) !== 0) return `may be written by others (mode 0${(stat.mode & 0o7777).toString(8)})`;
  return undefined;
}

function unusable(directory: string, cause: Partial<NodeJS.ErrnoException>): XgwError {
  const options = { cause, details: { directory } };
  if (cause.code === "EACCES" || cause.code === "EPERM")
    return new PermissionError(`user ${ownUid()} may not write to ${directory}, where xgw's locks are`, {
      ...options,
      remedy: "run xgw as root; where all of xgw runs as another user, make the directory that user's, with mode 0700",
    });
  return new XgwError(`${directory} cannot be made: ${cause.message}`, {
    ...options,
    remedy: "see to it that /run is there and can be written to",
  });
}
