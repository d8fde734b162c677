/** A change of a few tenants out of many: its steps without a look at the others. Pure. */

import type { Config, ConfigTenant } from "../config/schema.js";
import type { Desired } from "../model/desired.js";
import { diff } from "./diff.js";
import { pagesOf } from "./policy-maps.js";
import { type RenderContext, render } from "./render.js";
import { isOnDevice, type State } from "./state.js";
import type { Step } from "./steps.js";

/**
 * GRE keys of the tenants that one config has otherwise than the other, or that only one of them has; undefined when
 * anything else differs.
 */
export function changedTenants(now: Config, was: Config): ReadonlySet<number> | undefined {
  const head = ({ tenants: _, ...rest }: Config) => JSON.stringify(rest);
  if (head(now) !== head(was)) return undefined;
  const [others, othersBefore] = notInPlace(now.tenants, was.tenants);
  const before = new Map(othersBefore.map((tenant) => [tenant.key, tenant]));
  const changed = new Set<number>();
  for (const tenant of others) {
    const old = before.get(tenant.key);
    before.delete(tenant.key);
    if (old !== tenant && JSON.stringify(old) !== JSON.stringify(tenant)) changed.add(tenant.key);
  }
  for (const key of before.keys()) changed.add(key);
  return changed;
}

/** Those of each that are not the other's in the same place. Tenants of files that have not changed are the same objects. */
export function notInPlace(
  now: readonly ConfigTenant[],
  was: readonly ConfigTenant[],
): [ConfigTenant[], ConfigTenant[]] {
  const [others, othersBefore]: [ConfigTenant[], ConfigTenant[]] = [[], []];
  for (let at = 0; at < Math.max(now.length, was.length); at++) {
    const [tenant, before] = [now[at], was[at]];
    if (tenant === before) continue;
    if (tenant) others.push(tenant);
    if (before) othersBefore.push(before);
  }
  return [others, othersBefore];
}

export interface Part {
  readonly steps: readonly Step[];
  /** Of these tenants, and what all tenants share. */
  readonly wanted: State;
  readonly observed: State;
}

/**
 * From what is in force to what is desired, for tenants with these keys only.
 *
 * @param ifindexes of their devices, by name
 */
export function partialChange(
  desired: Desired,
  inForce: Desired,
  keys: ReadonlySet<number>,
  context: RenderContext,
  ifindexes: State["ifindexes"],
): Part {
  const only = (all: Desired) => render({ ...all, tenants: all.tenants.filter(({ key }) => keys.has(key)) }, context);
  const [wanted, observed] = [only(desired), { ...only(inForce), ifindexes }];
  return { wanted, observed, steps: diff(wanted, observed).filter((step) => !isOthers(step, desired, inForce)) };
}

/** Whether others have it already, or still want it: pages of the policy, and programs that count for all. */
function isOthers(step: Step, desired: Desired, inForce: Desired): boolean {
  if (step.kind === "entry.set" && step.entry.map === "policy_services") return hasPage(inForce, step.entry.page);
  if (step.kind === "entry.delete" && step.entry.map === "policy_services") return hasPage(desired, step.entry.page);
  return (step.kind === "attach" || step.kind === "detach") && !isOnDevice(step.attachment);
}

const hasPage = ({ tenants }: Desired, page: string) => tenants.some((tenant) => pagesOf(tenant).has(page));
