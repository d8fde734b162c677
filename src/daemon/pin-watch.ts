/** Says when somebody has taken a pin away, or put one there. */

import { type FSWatcher, watch } from "node:fs";

export interface PinWatch {
  /** Watches folders that have come since. */
  renew(): void;
  close(): void;
}

export function watchPins(folders: readonly string[], changed: () => void): PinWatch {
  let watchers: FSWatcher[] = [];
  const close = () => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  const renew = () => {
    close();
    for (const folder of folders) {
      try {
        const watcher = watch(folder, { persistent: false }, changed);
        watcher.on("error", changed);
        watchers.push(watcher);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
  };
  renew();
  return { renew, close };
}
