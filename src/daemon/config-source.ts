/** Where the daemon's config comes from, and how it learns that there is another. */

import { dirname, join } from "node:path";
import { type Doubtful, FileCache } from "../config/file-cache.js";
import { type LoadedConfig, loadConfig, type Sources } from "../config/load.js";
import { reloadFiles } from "../config/reload.js";
import type { Config } from "../config/schema.js";
import { parseSource, type Source } from "../config/source.js";
import { ConfigError, type Problem } from "../errors.js";
import { runtimeDirectory } from "../runtime-directory.js";
import type { FileTrial } from "../trial.js";
import { watchConfig } from "./config-watch.js";
import { liveTrial, watchTrial } from "./trial-watch.js";

/** Why a config is loaded again that was seen to change: only what was seen is read. */
export const configChanged = "config changed";

/** Why a config is loaded again that could not be put in force: what has not changed since is not read. */
export const triedAgain = "tried again";

/** Why a config is loaded again whose trial begins or ends. */
export const trialChanged = "trial";

/** Why everything is looked at anew: somebody asks for it. */
export const askedFor = "SIGHUP";

export interface SourcedConfig {
  readonly config: Config;
  readonly warnings: readonly Problem[];
  /** Missing where it is made of no files. */
  readonly sources?: Sources;
  /** The trial that the config is on; missing when it is the file's. */
  readonly trial?: FileTrial | undefined;
}

export interface ConfigSource {
  /**
   * @param why what `watch` said, or a reason of the caller's
   * @throws ConfigError
   */
  load(why: string): Promise<SourcedConfig>;
  /** Says why the config is to be loaded again, whenever it is. */
  watch(changed: (why: string) => void): { close(): void };
}

/**
 * The file, with tenants.d beside it. What has not changed is not parsed again, and often not even looked at. While there is a
 * trial of the file, what is tried stands in for it.
 */
export function configFile(file: string, directory = runtimeDirectory): ConfigSource {
  const cache = new FileCache();
  let doubtful: Doubtful = "all";
  let last: LoadedConfig | undefined;
  /** That `last` is of, or that was tried last. */
  let tried: { readonly trial: FileTrial; readonly source: Source } | undefined;
  return {
    async load(why) {
      const trial = liveTrial(file, directory);
      const isOther = trial?.token !== tried?.trial.token;
      const files = !isOther && (why === configChanged || why === triedAgain) ? doubtful : "all";
      doubtful = new Set();
      cache.doubt(files);
      const before = last;
      last = undefined; // what is wrong now must be found again, whatever changes next
      if (isOther) tried = trial && { trial, source: parseSource(trial.from, trial.text) };
      try {
        const quick = before && files !== "all" ? await reloadFiles(before, files, cache) : undefined;
        last = quick ?? (await loadConfig(file, cache, tried?.source));
        return { ...last, trial };
      } catch (error) {
        if (!(error instanceof ConfigError)) doubtful = "all"; // some may not have been read
        throw error;
      }
    },
    watch(changed) {
      const files = watchConfig(file, join(dirname(file), "tenants.d"), (files) => {
        doubtful = doubtful === "all" || files === "all" ? "all" : new Set([...doubtful, ...files]);
        changed(configChanged);
      });
      const trials = watchTrial(file, () => changed(trialChanged), directory);
      return {
        close() {
          files.close();
          trials.close();
        },
      };
    },
  };
}
