/**
 * Says when the config's files may have changed, and which: the main file and tenants.d, across editors' renames and wherever
 * links lead.
 */

import { type FSWatcher, lstatSync, readdirSync, watch } from "node:fs";
import { basename } from "node:path";
import type { Doubtful } from "../config/file-cache.js";
import { isVisibleYaml } from "../config/load.js";
import { PathWatch } from "./path-watch.js";
import { isOutOfSight } from "./waypoints.js";

/** Editors write in several steps; what follows within this time is one change. */
const quietMs = 200;
/** Who writes without end does not put everybody's edits off for longer than this. */
const patienceMs = 600;

/** Where more files than this change at once, the kernel may have told of some only (fs.inotify.max_queued_events). */
const namedMax = 64;

export interface ConfigWatch {
  close(): void;
}

/**
 * Watches folders, not files: a file that is replaced by a rename has another inode. On the way to the main file and to
 * tenants.d every folder is watched for the one entry that the way goes by, so that whatever is exchanged is seen: the file, a
 * folder, a link, what a link leads to. In tenants.d everything is, and the way from each link in it.
 */
export function watchConfig(file: string, tenantsDir: string, changed: (files: Doubtful) => void): ConfigWatch {
  let timer: NodeJS.Timeout | undefined;
  /** Of what is gathered, when the first was seen, as `performance.now()`. */
  let sinceMs: number | undefined;
  let tenants: FSWatcher | undefined;
  let doubtful: Set<string> | "all" = new Set();
  const doubt = (path: string | undefined) => {
    if (doubtful === "all") return;
    if (path === undefined || doubtful.size === namedMax) doubtful = "all";
    else doubtful.add(path);
  };
  const ways = new PathWatch((path, isOnTheWay) => {
    doubt(isOnTheWay || path === tenantsDir ? undefined : path);
    later();
  });
  const later = () => {
    clearTimeout(timer);
    const nowMs = performance.now();
    sinceMs ??= nowMs;
    timer = setTimeout(
      () => {
        sinceMs = undefined;
        const files = doubtful;
        doubtful = new Set();
        if (files === "all") renew();
        else for (const path of files) followIfLink(path);
        changed(files);
      },
      Math.min(quietMs, Math.max(0, sinceMs + patienceMs - nowMs)),
    );
  };
  const followIfLink = (path: string) => {
    if (path === file || isLink(path)) ways.follow(path);
    else ways.forget(path);
  };
  const onTenants = (name: string | null) => {
    if (name === null || name === basename(tenantsDir))
      doubt(undefined); // the folder itself has gone
    else if (isVisibleYaml(name)) doubt(`${tenantsDir}/${name}`);
    later();
  };
  /** The new watcher is there before the old one goes, lest something happens in between. */
  const watchTenants = () => {
    const old = tenants;
    tenants = undefined;
    // What may not be read is the config's error, which names it. The folder around it tells when that changes.
    ifInSight(() => {
      tenants = watch(tenantsDir, (_event, name) => onTenants(name));
      tenants.on("error", () => onTenants(null));
    });
    old?.close();
  };
  const renew = () => {
    const links = new Set([file, tenantsDir, ...linksIn(tenantsDir)]);
    for (const path of ways.paths) if (!links.has(path)) ways.forget(path);
    ways.renew();
    for (const path of links) ways.follow(path);
    watchTenants();
  };
  renew();
  return {
    close() {
      clearTimeout(timer);
      ways.close();
      tenants?.close();
    },
  };
}

const isLink = (path: string) => ifInSight(() => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) ?? false;

/** Files that are links. */
const linksIn = (folder: string): string[] =>
  (ifInSight(() => readdirSync(folder, { withFileTypes: true })) ?? [])
    .filter((entry) => entry.isSymbolicLink() && isVisibleYaml(entry.name))
    .map(({ name }) => `${folder}/${name}`);

function ifInSight<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (!isOutOfSight(error)) throw error;
    return undefined;
  }
}
