/** What XDP has sent, and a NIC has not: counted by the kernel's tracepoints (bpf/unsent.bpf.c). */

import { BpfMap } from "libbpf-ts";
import { readCount, readU32 } from "./layout.js";
import type { Pins } from "./pins.js";

const name = "unsent";

/** Packets by the NIC's ifindex, as far as there are any. */
export function readUnsent(pins: Pins): Map<number, number> {
  const packets = new Map<number, number>();
  if (!pins.hasMap(name)) return packets;
  using map = BpfMap.openPinned(pins.map(name));
  for (const [key, values] of map.entriesPerCpu())
    packets.set(
      readU32(key, 0),
      values.reduce((sum, value) => sum + readCount(value, 0), 0),
    );
  return packets;
}
