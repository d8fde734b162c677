/**
 * Puts right what somebody else has changed, where notifications say whose it is: looks at these tenants only. Of what is
 * all tenants' it reads nothing but the nft sets that were changed. Whatever is not quite clear is left to the comparison
 * with everything.
 */

import { Pins } from "./datapath/pins.js";
import { applyAttempts, type Converged, execute, type InForce } from "./gateway.js";
import type { DesiredTenant } from "./model/desired.js";
import { namesDevice, observeTenants } from "./observe/tenants.js";
import { diff } from "./plan/diff.js";
import { render } from "./plan/render.js";
import { type ElementKeys, isOnDevice, type State } from "./plan/state.js";
import type { Step } from "./plan/steps.js";

/** More tenants than this are compared with the kernel, all of it: that is one look for all of them. */
export const tenantsMax = 64;

/** What may have been changed. */
export interface Scope {
  /** Ids. */
  readonly tenants: ReadonlySet<number>;
  /** Of the nft table; sets that are not named are not looked into. */
  readonly elements: ElementKeys;
}

/**
 * The caller holds the lock.
 *
 * @param taken gets the steps that were carried out, whatever comes of it
 * @param isRepair nothing but the kernel has changed since the last time
 * @returns undefined when everything has to be compared
 * @throws XgwError, BpfError when a look or a step failed
 */
export async function repairTenants(
  inForce: InForce,
  scope: Scope,
  taken: Step[],
  isRepair = true,
): Promise<Converged | undefined> {
  const { desired, constants, context } = inForce;
  const tenants = desired.tenants.filter(({ id }) => scope.tenants.has(id));
  if (tenants.length < scope.tenants.size || tenants.length > tenantsMax) return undefined;
  const pins = new Pins(desired.instance);
  const wanted = wantedOf(inForce, tenants);
  let doneMs = performance.now();
  let before: Converged["before"] | undefined;
  for (let attempt = 1; ; attempt++) {
    const observed = observeTenants(pins, tenants, scope.elements, wanted);
    if (!observed) return undefined;
    before ??= observed;
    const steps = diff(wanted, observed);
    const plan = { desired, constants, context, wanted, observed, steps };
    if (steps.length === 0) return { ...plan, steps: taken, before, doneMs, flowsLeft: 0 };
    if (attempt > applyAttempts) return undefined;
    await execute(plan, pins, isRepair);
    doneMs = performance.now();
    taken.push(...steps);
  }
}

/** What is looked at of these tenants: see `observeTenants`. */
function wantedOf({ desired, context }: InForce, tenants: readonly DesiredTenant[]): State {
  const state = render({ ...desired, tenants }, context);
  return {
    ...state,
    entries: new Map([...state.entries].filter(([, entry]) => namesDevice(entry))),
    attachments: new Map([...state.attachments].filter(([, attachment]) => isOnDevice(attachment))),
  };
}
