/** The checks of the seed deployment, in the order in which they are run: each but the last leaves the gateway as it was. */

import type { Check } from "./check.js";
import { accounting } from "./checks/accounting.js";
import { denials } from "./checks/denials.js";
import { drifts } from "./checks/drift.js";
import { flood } from "./checks/flood.js";
import { flowsSeen } from "./checks/flows.js";
import { inspected } from "./checks/inspection.js";
import { monitored } from "./checks/monitor.js";
import { configEdited, daemonKilled, flowtableCarries, stayInStep, tearDown } from "./checks/operation.js";
import { revocations } from "./checks/revocation.js";
import { offloads, pathMtu } from "./checks/sizes.js";
import { strangerDropped, unknownKeyDropped } from "./checks/strangers.js";
import { bulkTransfer, pings, simultaneousTransfers, tenantsReachClient, udpBothWays } from "./checks/traffic.js";

/** What the demo shows. */
export const demoChecks: readonly Check[] = [
  pings,
  simultaneousTransfers,
  ...denials,
  ...tenantsReachClient,
  udpBothWays,
  accounting,
  bulkTransfer,
  unknownKeyDropped,
  strangerDropped,
  stayInStep,
  configEdited,
  daemonKilled,
  flowtableCarries,
  tearDown,
];

/** What the tests try beyond it. */
export const moreChecks: readonly Check[] = [
  inspected,
  pathMtu,
  offloads,
  flowsSeen,
  monitored,
  flood,
  ...revocations,
  ...drifts,
];
