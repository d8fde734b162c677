/** Ends the connections that the rules no longer admit. */

import { admissionsOf, isAdmitted } from "../plan/admission.js";
import { noPickupSet, tableName } from "../plan/rules.js";
import { selectorsOf } from "../plan/selectors.js";
import type { Element } from "../plan/state.js";
import { type Step, stepsOf } from "../plan/steps.js";
import { deleteConnections, readConnections } from "./conntrack.js";
import { applyScript } from "./nft.js";

/** Reading the connections of one zone walks over those of all: for many tenants, one walk. */
const walksMax = 4;

/** @param elements those of the nft table, as they are by now */
export async function revokeConnections(
  instance: string,
  steps: readonly Step[],
  elements: ReadonlyMap<string, Element>,
): Promise<void> {
  const revocations = stepsOf(steps, "connections.revoke");
  const whole = revocations.filter(({ all }) => all).map(({ tenant }) => tenant);
  const judged = new Set(revocations.filter(({ all }) => !all).map(({ tenant }) => tenant));
  await forbidPickup(instance, [...judged]);
  const admissions = admissionsOf(elements.values(), judged);
  const connections =
    judged.size > walksMax ? await readConnections() : (await Promise.all([...judged].map(readConnections))).flat();
  const going: typeof connections = [];
  const staying: typeof connections = [];
  for (const connection of connections) {
    const admission = admissions.get(connection.zone);
    if (admission) (isAdmitted(admission, connection) ? staying : going).push(connection);
  }
  await deleteConnections([...whole.map((zone) => ({ zone })), ...selectorsOf(going, staying)]);
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
