/** By which entries of which folders a path is found: links are followed one by one, for each of them may change. */

import { lstatSync, readlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export interface Waypoint {
  /** Without a link in it. */
  readonly folder: string;
  readonly name: string;
}

/** As many links as the kernel follows (MAXSYMLINKS). */
const linksMax = 40;

/** The last one is what the path leads to, or the first entry that is not there. */
export function waypointsOf(path: string): Waypoint[] {
  const found: Waypoint[] = [];
  const names = resolve(path).split("/");
  let folder = "/";
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      folder = dirname(folder);
      continue;
    }
    found.push({ folder, name });
    const entry = join(folder, name);
    const target = targetOf(entry);
    if (target === undefined) folder = entry;
    else if (target === "" || ++links > linksMax) break;
    else {
      if (target.startsWith("/")) folder = "/";
      names.unshift(...target.split("/"));
    }
  }
  return found;
}

/** Of a link; undefined of what is none, empty where nothing can be seen. */
function targetOf(entry: string): string | undefined {
  try {
    const stat = lstatSync(entry, { throwIfNoEntry: false });
    if (!stat) return "";
    return stat.isSymbolicLink() ? readlinkSync(entry) : undefined;
  } catch (error) {
    if (isOutOfSight(error)) return "";
    throw error;
  }
}

/** What is not there any more, or may not be looked at: the folders on the way to it tell when that changes. */
export const isOutOfSight = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR", "EACCES", "EINVAL", "ELOOP"].includes((error as NodeJS.ErrnoException).code ?? "");
