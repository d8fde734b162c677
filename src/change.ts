/**
 * The quick way for an edit of a few tenants, new ones among them: works from what is known to be in force, looks at these
 * tenants only, and so takes as long with thousands of others as with none. The daemon's comparison of these tenants with the
 * kernel follows, by the notifications that the change itself causes, and that of everything from time to time, which trusts
 * nothing.
 */

import type { Config } from "./config/schema.js";
import { kernelNames, missingEntries } from "./datapath/entries.js";
import { unsettledTenants } from "./datapath/generations.js";
import { Pins } from "./datapath/pins.js";
import { XgwError } from "./errors.js";
import { execute, type InForce, type Plan } from "./gateway.js";
import { readLinksOf } from "./kernel/rtnetlink.js";
import { rebuildDesired } from "./model/build.js";
import { type DesiredTenant, routeTableBase } from "./model/desired.js";
import { changedTenants, partialChange } from "./plan/part.js";
import { repairTenants, tenantsMax } from "./repair.js";

/** What the daemon knows by the kernel's notifications, and what it has to know to read them. */
export interface Surroundings {
  /** Whether a VRF, of whoever, uses the route table. */
  hasVrfOf(routeTable: number): boolean;
  /** Told before anything of them is made. */
  expect(tenants: readonly DesiredTenant[]): void;
}

/**
 * Applies a change of tenants. The caller holds the lock, and knows of nothing that differs from what is in force.
 *
 * @returns undefined, with nothing done, when the change is of another kind or too large, or needs what is somebody else's
 * @throws XgwError when a step failed or did not last: the kernel is somewhere between the two configs then
 */
export async function applyChange(
  config: Config,
  inForce: InForce,
  surroundings: Surroundings,
): Promise<Plan | undefined> {
  const keys = changedTenants(config, inForce.config);
  // The first tenant's VRF brings a rule with it.
  if (!keys || keys.size > tenantsMax || inForce.desired.tenants.length === 0) return undefined;
  const pins = new Pins(config.instance);
  const desired = rebuildDesired(config, inForce.desired, keys, (id) => surroundings.hasVrfOf(routeTableBase + id));
  const touched = [...desired.tenants, ...inForce.desired.tenants].filter(({ key }) => keys.has(key));
  if (unsettledTenants(pins, [...new Set(touched.map(({ id }) => id))]).size > 0) return undefined;
  const before = new Set(inForce.desired.tenants.map(({ key }) => key));
  const added = desired.tenants.filter(({ key }) => !before.has(key));
  if (!added.every((tenant) => isFree(tenant, surroundings))) return undefined;
  surroundings.expect(added);
  const { constants, context } = inForce;
  const part = partialChange(desired, inForce.desired, keys, context, ifindexesOf(touched));
  const change: Plan = { desired, constants, context, ...part };
  await execute(change, pins, false);
  const steps = [...part.steps];
  const staying = new Set(desired.tenants.filter(({ key }) => keys.has(key)).map(({ id }) => id));
  const scope = { tenants: staying, elements: new Map() };
  if (!(await repairTenants({ config, desired, constants, context }, scope, steps, false)))
    throw new XgwError("the kernel still differs, or cannot be compared");
  const missing = missingEntries(pins, part.wanted.entries.values(), kernelNames);
  if (missing.length > 0)
    throw new XgwError("what was written into the maps is not there", { details: { missing: missing.slice(0, 10) } });
  return { ...change, steps };
}

/** Of those of their devices that there are, by name. */
function ifindexesOf(tenants: readonly DesiredTenant[]): Map<string, number> {
  const names = new Set(tenants.flatMap(({ vrf, tunnel }) => [vrf, tunnel]));
  return new Map(readLinksOf([...names]).map(({ name, ifindex }) => [name, ifindex]));
}

/** Whether what a new tenant needs is nobody's. */
function isFree({ vrf, tunnel, routeTable }: DesiredTenant, { hasVrfOf }: Surroundings): boolean {
  return !hasVrfOf(routeTable) && readLinksOf([vrf, tunnel]).length === 0;
}
