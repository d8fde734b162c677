/** Tenants that a plan takes away. */

import { routeTableBase } from "../model/desired.js";
import { type Entry, tenantIds } from "./state.js";
import { type Step, stepsOf } from "./steps.js";

/**
 * Ids that are free when the steps are done. By the devices, which go last, a run that was cut short is seen to have left
 * something to do; by the entries, what is left of a tenant whose devices somebody else deleted.
 *
 * @param wanted entries of the state that the steps lead to
 */
export function leavingTenants(steps: readonly Step[], wanted: Iterable<Entry>): Set<number> {
  const staying = new Set(tenantIds(wanted));
  const devices = stepsOf(steps, "device.delete").flatMap(({ device }) =>
    device.kind === "vrf" ? [device.routeTable - routeTableBase] : [],
  );
  const entries = tenantIds(stepsOf(steps, "entry.delete").map(({ entry }) => entry));
  return new Set([...devices, ...entries].filter((tenant) => !staying.has(tenant)));
}
