/**
 * The quick way for an edit of a few tenants: works from what is known to be in force, looks at these tenants only, and so
 * takes as long with thousands of others as with none. The daemon's comparison of these tenants with the kernel follows, by
 * the notifications that the change itself causes, and that of everything from time to time, which trusts nothing.
 */

import type { Config } from "./config/schema.js";
import { kernelNames, missingEntries } from "./datapath/entries.js";
import { unsettledTenants } from "./datapath/generations.js";
import { Pins } from "./datapath/pins.js";
import { XgwError } from "./errors.js";
import { execute, type Plan } from "./gateway.js";
import { rebuildDesired } from "./model/build.js";
import { changedTenants, partialChange } from "./plan/part.js";

/** The config in force, and what it was made into. */
export interface InForce extends Pick<Plan, "desired" | "constants" | "context"> {
  readonly config: Config;
}

/** More tenants than this are compared with the kernel, all of it: that is one look for all of them. */
export const tenantsMax = 64;

/**
 * Applies a change of tenants. The caller holds the lock, and knows of nothing that differs from what is in force.
 *
 * @returns undefined, with nothing done, when the change is of another kind or too large
 * @throws XgwError when a step failed or did not last: the kernel is somewhere between the two configs then
 */
export async function applyChange(config: Config, inForce: InForce): Promise<Plan | undefined> {
  const keys = changedTenants(config, inForce.config);
  if (!keys || keys.size > tenantsMax) return undefined;
  const pins = new Pins(config.instance);
  const touched = inForce.desired.tenants.filter(({ key }) => keys.has(key)).map(({ id }) => id);
  if (unsettledTenants(pins, touched).size > 0) return undefined;
  const desired = rebuildDesired(config, inForce.desired, keys);
  const { constants, context } = inForce;
  const part = partialChange(desired, inForce.desired, keys, context);
  const change: Plan = { desired, constants, context, ...part };
  await execute(change, pins, false);
  const missing = missingEntries(pins, part.wanted.entries.values(), kernelNames);
  if (missing.length > 0)
    throw new XgwError("what was written into the maps is not there", { details: { missing: missing.slice(0, 10) } });
  return change;
}
