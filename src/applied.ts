/** The config that `xgw apply` has put in force, kept below /run/xgw: what a change on trial goes back to where no daemon runs. */

import { readFileSync, rmSync } from "node:fs";
import { replaceFile } from "./atomic-file.js";
import type { Config } from "./config/schema.js";
import { checkRuntimeDirectory, prepareRuntimeDirectory, runtimeDirectory, runtimeFile } from "./runtime-directory.js";
import { packageVersion } from "./version.js";

const pathOf = (instance: string, directory: string) => runtimeFile(`${instance}.applied`, directory);

export function keepApplied(config: Config, directory = runtimeDirectory): void {
  prepareRuntimeDirectory(directory);
  const kept = JSON.stringify({ version: packageVersion(), config });
  replaceFile(pathOf(config.instance, directory), kept, { mode: 0o600 });
}

/** Undefined when there is none, or another version of xgw has kept it. What is in force may be something else by now. */
export function readApplied(instance: string, directory = runtimeDirectory): Config | undefined {
  if (!checkRuntimeDirectory(directory)) return undefined;
  try {
    const kept = JSON.parse(readFileSync(pathOf(instance, directory), "utf8")) as { version: string; config: Config };
    return kept.version === packageVersion() ? kept.config : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export const forgetApplied = (instance: string, directory = runtimeDirectory): void =>
  rmSync(pathOf(instance, directory), { force: true });
