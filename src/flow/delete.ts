/** Has flows decided anew: their lines go, and their next packets are the kernel's. */

import { flowBytes } from "../datapath/flow-table.js";
import type { FlowView } from "../datapath/flow-view.js";
import { forgetFlows } from "../datapath/forget.js";
import { type Filter, lineTest } from "./filter.js";

/** @returns how many lines were meant, and how many of them were still there; of a connection there are two */
export function deleteFlows(view: FlowView, filter: Filter): { readonly matched: number; readonly deleted: number } {
  let matched = 0;
  const { memory } = view;
  const isMeant = lineTest(filter, view);
  function* meant(): Generator<Buffer> {
    const copy = Buffer.alloc(flowBytes);
    for (let line = 0; line < memory.lines; line++) {
      if (!memory.isUsed(line) || !isMeant(line) || !memory.copy(line, copy)) continue;
      matched++;
      yield copy;
    }
  }
  const deleted = forgetFlows(view.pins, meant());
  return { matched, deleted };
}
