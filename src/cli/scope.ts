/** Of which instances a verb that only looks is to tell: no config is needed for that. */

import { ConfigError } from "../errors.js";
import type { Context } from "./command.js";
import { checkInstance } from "./instance.js";

export const scopeOptions = {
  instance: {
    type: "string",
    requiresArg: true,
    describe: "Of this instance; without it of the config's, or of all where there is no config",
  },
  all: { type: "boolean", describe: "Also what is not xgw's" },
} as const;

/** @throws KernelError, PermissionError when nothing can be seen; UsageError */
export async function instancesInScope(
  { instance, all = false }: { readonly instance?: string | undefined; readonly all?: boolean | undefined },
  context: Context,
): Promise<readonly string[]> {
  const { checkHost } = await import("../kernel/preflight.js");
  const { pinnedInstances } = await import("../datapath/inspect/inventory.js");
  if (instance !== undefined) await checkInstance(instance);
  checkHost();
  const pinned = pinnedInstances();
  const chosen = instance ?? (all ? undefined : await instanceOfConfig(context));
  if (chosen === undefined) return pinned;
  if (pinned.includes(chosen)) return [chosen];
  const others = pinned.length === 0 ? "no instance has" : `these have: ${pinned.join(", ")}`;
  context.note(`instance ${chosen} has nothing loaded here; ${others}`);
  return [];
}

/** Undefined where there is no config, or it is refused, of which a note tells. */
async function instanceOfConfig(context: Context): Promise<string | undefined> {
  const { loadConfig } = await import("../config/load.js");
  const { existsSync } = await import("node:fs");
  try {
    return (await loadConfig(context.configFile)).config.instance;
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    if (existsSync(context.configFile))
      context.note(`${context.configFile} is refused (see xgw validate): all instances are shown`);
    return undefined;
  }
}
