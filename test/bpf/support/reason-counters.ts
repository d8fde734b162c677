/** What was counted by reason: struct xgw_reason_counters. */

import { reasons } from "../../../src/datapath/reasons.js";
import type { Counter } from "./types.js";

/** Of one CPU, in the order of `enum xgw_reason`. */
export interface ReasonCounters {
  readonly reasons: readonly Counter[];
}

/** Over all CPUs. */
export function countersOf(perCpu: readonly ReasonCounters[] | undefined, reason: string) {
  const at = reasons.findIndex(({ name }) => name === reason);
  const counters = (perCpu ?? []).map(({ reasons }) => reasons[at]);
  const sum = (field: keyof Counter) => counters.reduce((total, counter) => total + Number(counter?.[field] ?? 0n), 0);
  return { packets: sum("packets"), bytes: sum("bytes") };
}
