/** Every check there is: pure functions from a snapshot to what they find. */

import { bySeverity, type Finding } from "../finding.js";
import { overlappingAddresses, underlayAddress } from "./addresses.js";
import { droppingChains, legacyTables } from "./filters.js";
import { bpfFileSystem, comparison, daemon, kernelFeatures, kernelVersion } from "./machine.js";
import {
  downDevices,
  interruptsOnOneCpu,
  joiningFeatures,
  missingDevices,
  mtusBeyondXdp,
  xdpPrograms,
} from "./nics.js";
import type { Snapshot } from "./snapshot.js";
import { conntrackFill, losses, neighbourFill, tableFill, unsentPackets } from "./tables.js";

export type Check = (snapshot: Snapshot) => Finding[];

/** Of findings of one severity the first is most likely the cause of the others. */
const checks: readonly Check[] = [
  kernelVersion,
  kernelFeatures,
  bpfFileSystem,
  missingDevices,
  downDevices,
  xdpPrograms,
  mtusBeyondXdp,
  underlayAddress,
  overlappingAddresses,
  droppingChains,
  legacyTables,
  ({ inTheWay }) => [...inTheWay],
  unsentPackets,
  conntrackFill,
  neighbourFill,
  tableFill,
  losses,
  joiningFeatures,
  interruptsOnOneCpu,
  comparison,
  daemon,
];

/** The worst first. */
export const examine = (snapshot: Snapshot): Finding[] => bySeverity(checks.flatMap((check) => check(snapshot)));
