/** Where the daemon's config comes from, and how it learns that there is another. */

import { dirname, join } from "node:path";
import { FileCache } from "../config/file-cache.js";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import type { Problem } from "../errors.js";
import { watchConfig } from "./config-watch.js";

export interface ConfigSource {
  /** @throws ConfigError */
  load(): Promise<{ readonly config: Config; readonly warnings: readonly Problem[] }>;
  /** Says why the config is to be loaded again, whenever it is. */
  watch(changed: (why: string) => void): { close(): void };
}

/** The file, with tenants.d beside it. What has not changed is not parsed again. */
export function configFile(file: string): ConfigSource {
  const cache = new FileCache();
  return {
    load: () => loadConfig(file, cache),
    watch: (changed) => watchConfig(file, join(dirname(file), "tenants.d"), () => changed("config changed")),
  };
}
