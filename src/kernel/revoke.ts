/** Ends the connections that the rules no longer admit. */

import { type Admission, admissionsOf, isAdmitted } from "../plan/admission.js";
import { noPickupSet, tableName } from "../plan/rules.js";
import type { Element } from "../plan/state.js";
import { type Step, stepsOf } from "../plan/steps.js";
import { deleteConnections, readConnections, type TrackedConnection } from "./conntrack.js";
import { applyScript } from "./nft.js";

/** @param elements those of the nft table, as they are by now */
export async function revokeConnections(
  instance: string,
  steps: readonly Step[],
  elements: ReadonlyMap<string, Element>,
): Promise<void> {
  const revocations = stepsOf(steps, "connections.revoke");
  if (revocations.length === 0) return;
  const judged = new Set(revocations.filter(({ all }) => !all).map(({ tenant }) => tenant));
  await forbidPickup(instance, [...judged]);
  const admissions = admissionsOf(elements.values(), judged);
  const connections = readConnections(new Set(revocations.map(({ tenant }) => tenant)));
  deleteConnections(notAdmitted(connections, admissions));
}

function* notAdmitted(
  connections: Iterable<TrackedConnection>,
  admissions: ReadonlyMap<number, Admission>,
): Generator<TrackedConnection> {
  for (const connection of connections) {
    const admission = admissions.get(connection.zone);
    if (!admission || !isAdmitted(admission, connection)) yield connection;
  }
}

/** Before anything is deleted: what goes must not come back by a packet of its middle. */
async function forbidPickup(instance: string, tenants: readonly number[]): Promise<void> {
  if (tenants.length === 0) return;
  const set = `ip ${tableName(instance)} ${noPickupSet}`;
  const zones = tenants.join(", ");
  // Added, deleted and added: a fresh time, whether it was there or not.
  const lines = ["add", "delete", "add"].map((verb) => `${verb} element ${set} { ${zones} }\n`);
  await applyScript(lines.join(""));
}
