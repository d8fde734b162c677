/** Where the daemon's config comes from, and how it learns that there is another. */

import { dirname, join } from "node:path";
import { type Doubtful, FileCache } from "../config/file-cache.js";
import { type LoadedConfig, loadConfig } from "../config/load.js";
import { reloadFiles } from "../config/reload.js";
import type { Config } from "../config/schema.js";
import { ConfigError, type Problem } from "../errors.js";
import { watchConfig } from "./config-watch.js";

/** Why a config is loaded again that was seen to change: only what was seen is read. */
export const configChanged = "config changed";

/** Why a config is loaded again that could not be put in force: what has not changed since is not read. */
export const triedAgain = "tried again";

/** Why everything is looked at anew: somebody asks for it. */
export const askedFor = "SIGHUP";

export interface ConfigSource {
  /**
   * @param why what `watch` said, or a reason of the caller's
   * @throws ConfigError
   */
  load(why: string): Promise<{ readonly config: Config; readonly warnings: readonly Problem[] }>;
  /** Says why the config is to be loaded again, whenever it is. */
  watch(changed: (why: string) => void): { close(): void };
}

/** The file, with tenants.d beside it. What has not changed is not parsed again, and often not even looked at. */
export function configFile(file: string): ConfigSource {
  const cache = new FileCache();
  let doubtful: Doubtful = "all";
  let last: LoadedConfig | undefined;
  return {
    async load(why) {
      const files = why === configChanged || why === triedAgain ? doubtful : "all";
      doubtful = new Set();
      cache.doubt(files);
      const before = last;
      last = undefined; // what is wrong now must be found again, whatever changes next
      try {
        const quick = before && files !== "all" ? await reloadFiles(before, files, cache) : undefined;
        last = quick ?? (await loadConfig(file, cache));
        return last;
      } catch (error) {
        if (!(error instanceof ConfigError)) doubtful = "all"; // some may not have been read
        throw error;
      }
    },
    watch: (changed) =>
      watchConfig(file, join(dirname(file), "tenants.d"), (files) => {
        doubtful = doubtful === "all" || files === "all" ? "all" : new Set([...doubtful, ...files]);
        changed(configChanged);
      }),
  };
}
