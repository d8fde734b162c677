/** The checks of the seed deployment, in the order in which they are run: each leaves the gateway as it found it. */

import type { Check } from "./check.js";
import { accounting } from "./checks/accounting.js";
import { denials } from "./checks/denials.js";
import { configEdited, daemonKilled, flowtableCarries, stayInStep, tearDown } from "./checks/operation.js";
import { strangerDropped, unknownKeyDropped } from "./checks/strangers.js";
import { bulkTransfer, pings, simultaneousTransfers, tenantsReachClient, udpBothWays } from "./checks/traffic.js";

export const checks: readonly Check[] = [
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
