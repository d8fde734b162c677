/** Says when the config's files may have changed, and which: the main file and tenants.d, across editors' renames. */

import { type FSWatcher, realpathSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Doubtful } from "../config/file-cache.js";
import { isVisibleYaml } from "../config/load.js";

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
 * Watches the folders, not the files: a file that is replaced by a rename has another inode. The config's folder is
 * watched for the main file and for tenants.d appearing, tenants.d for everything in it. Either may be a link through
 * another entry of the folder, which is what changes in a mounted ConfigMap: so where they lead is looked at as well.
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
  const later = () => {
    clearTimeout(timer);
    const nowMs = performance.now();
    sinceMs ??= nowMs;
    timer = setTimeout(
      () => {
        sinceMs = undefined;
        watchTenants();
        const files = doubtful;
        doubtful = new Set();
        changed(files);
      },
      Math.min(quietMs, Math.max(0, sinceMs + patienceMs - nowMs)),
    );
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
    try {
      tenants = watch(tenantsDir, (_event, name) => onTenants(name));
      tenants.on("error", () => onTenants(null));
    } catch (error) {
      // What may not be read is the config's error, which names it. The folder around it tells when that changes.
      if (!["ENOENT", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
    old?.close();
  };
  const whereTheyLead = () => [file, tenantsDir].map(realPath).join("\0");
  let led = whereTheyLead();
  const main = watch(dirname(file), (_event, name) => {
    const lead = whereTheyLead();
    if (lead !== led || name === null || name === basename(tenantsDir)) doubt(undefined);
    else if (name === basename(file)) doubt(file);
    else return;
    led = lead;
    later();
  });
  watchTenants();
  return {
    close() {
      clearTimeout(timer);
      main.close();
      tenants?.close();
    },
  };
}

/** Empty where there is nothing. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return "";
  }
}
