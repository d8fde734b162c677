/** Maps with a signed 64-bit count of each tenant, by id. */

import { BpfMap } from "libbpf-ts";
import { readS64 } from "./layout.js";
import type { Pins } from "./pins.js";

export function readCounts(pins: Pins, name: string): number[] {
  const counts: number[] = [];
  using map = BpfMap.openPinned(pins.map(name));
  for (const { values, count } of map.batches())
    for (let at = 0; at < count; at++) counts.push(readS64(values, at * map.valueStride));
  return counts;
}

/** A value of such a map. */
export const countBytes = (count: number): Buffer => Buffer.from(new BigInt64Array([BigInt(count)]).buffer);
