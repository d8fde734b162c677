/** Says when somebody has taken a pin away, or put one there. */

import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";

export interface PinWatch {
  /** Watches folders that have come since. */
  renew(): void;
  close(): void;
}

interface Watched {
  /** In bpffs no other folder ever gets the same (get_next_ino of the kernel). */
  readonly inode: number;
  readonly watcher: FSWatcher;
}

/**
 * @param folders those that there may be; asked for at each renewal
 * @param changed told the path of what has come or gone, or the folder's where that is not known
 */
export function watchPins(folders: () => readonly string[], changed: (path: string) => void): PinWatch {
  const watched = new Map<string, Watched>();
  const forget = (folder: string) => {
    watched.get(folder)?.watcher.close();
    watched.delete(folder);
  };
  const renew = () => {
    const present = new Set(folders());
    for (const folder of watched.keys()) if (!present.has(folder)) forget(folder);
    for (const folder of present) {
      const inode = statSync(folder, { throwIfNoEntry: false })?.ino;
      // What is still the same folder goes on being watched: what has happened there and was not told yet is not lost.
      if (watched.get(folder)?.inode === inode) continue;
      forget(folder);
      const watcher = inode === undefined ? undefined : watchFolder(folder, changed);
      if (inode !== undefined && watcher) watched.set(folder, { inode, watcher });
    }
  };
  renew();
  return {
    renew,
    close() {
      for (const folder of [...watched.keys()]) forget(folder);
    },
  };
}

/** Undefined when it has just gone. */
function watchFolder(folder: string, changed: (path: string) => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, (_, name) => changed(join(folder, name ?? "")));
    watcher.on("error", () => changed(folder));
    return watcher;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
