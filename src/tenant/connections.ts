/** A tenant's connections by what carries them: as much work as it has connections, whatever others have. */

import type { Tier } from "../datapath/accounting.js";
import type { FlowView } from "../datapath/flow-view.js";
import { isCarriedByXdp } from "../flow/list.js";
import { readConnectionStates, statusBits } from "../kernel/connection-states.js";

/** Each is counted under the tier of its slower direction. */
export function countConnections(view: FlowView, tenant: number, zone: number): Record<Tier, number> {
  const counts = { xdp: 0, flowtable: 0, stack: 0 };
  for (const connection of readConnectionStates(new Set([zone]))) {
    if (isCarriedByXdp(view, tenant, connection)) counts.xdp++;
    else if (connection.status & statusBits.offload) counts.flowtable++;
    else counts.stack++;
  }
  return counts;
}
