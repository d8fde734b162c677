/** Says when the config's files may have changed: the main file and tenants.d, across editors' renames. */

import { type FSWatcher, realpathSync, watch } from "node:fs";
import { basename, dirname } from "node:path";

/** Editors write in several steps; what follows within this time is one change. */
const quietMs = 200;

export interface ConfigWatch {
  close(): void;
}

/**
 * Watches the folders, not the files: a file that is replaced by a rename has another inode. The config's folder is
 * watched for the main file and for tenants.d appearing, tenants.d for everything in it. Either may be a link through
 * another entry of the folder, which is what changes in a mounted ConfigMap: so where they lead is looked at as well.
 */
export function watchConfig(file: string, tenantsDir: string, changed: () => void): ConfigWatch {
  let timer: NodeJS.Timeout | undefined;
  let tenants: FSWatcher | undefined;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      watchTenants();
      changed();
    }, quietMs);
  };
  const watchTenants = () => {
    tenants?.close();
    tenants = undefined;
    try {
      tenants = watch(tenantsDir, later);
      tenants.on("error", later);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  };
  const names = new Set([basename(file), basename(tenantsDir)]);
  const whereTheyLead = () => [file, tenantsDir].map(realPath).join("\0");
  let led = whereTheyLead();
  const main = watch(dirname(file), (_event, name) => {
    const lead = whereTheyLead();
    if (name === null || names.has(name) || lead !== led) later();
    led = lead;
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
