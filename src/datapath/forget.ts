/**
 * Takes flows out of the table by a program, which holds the locks that XDP and the learner hold: no half line is ever seen,
 * and no other flow that has come to a line meanwhile is touched. (A write from user space to a bucket would undo what the
 * programs have done to its other lines since it was read.)
 */

import { BpfMap, type BpfObject } from "libbpf-ts";
import { XgwError } from "../errors.js";
import { flowOffsets } from "./flow-table.js";
import { readU16, readU32, u32 } from "./layout.js";
import { reuseMap } from "./load.js";
import { flowSeed, forgetterFile, openFile, pinnedMapNames } from "./objects.js";
import type { Pins } from "./pins.js";

/** struct forget_orders, struct forget_key and the key in it, of bpf/forget.bpf.c. */
const ordersBytes = 12;
const orderBytes = 24;
const keyBytes = 20;
/** What fits into a test run's packet; see move.ts. */
const atOnce = Math.floor((3400 - ordersBytes) / orderBytes);

/** @returns how many of the flows were still there */
export function forgetFlows(pins: Pins, lines: Iterable<Buffer>): number {
  using object = openForgetter(pins);
  const program = object.program("xgw_forget");
  const packet = Buffer.alloc(ordersBytes + atOnce * orderBytes);
  let count = 0;
  let deleted = 0;
  const flush = () => {
    if (count === 0) return;
    u32(count).copy(packet);
    const { data } = program.testRun({ data: packet });
    if (readU32(data, 1) !== count)
      throw new XgwError(`only ${readU32(data, 1)} of ${count} flows could be looked for`);
    deleted += readU32(data, 2);
    packet.fill(0);
    count = 0;
  };
  for (const line of lines) {
    const at = ordersBytes + count * orderBytes;
    line.copy(packet, at, 0, keyBytes);
    u32(readU16(line, flowOffsets.tenant)).copy(packet, at + keyBytes);
    if (++count === atOnce) flush();
  }
  flush();
  return deleted;
}

function openForgetter(pins: Pins): BpfObject {
  const object = openFile(forgetterFile);
  try {
    using flows = BpfMap.openPinned(pins.map("flows"));
    object.setVariable("flow_buckets", u32(flows.maxEntries)).setVariable("flow_seed", flowSeed(pins.instance));
    object.resizeMap("flows", flows.maxEntries);
    for (const name of pinnedMapNames(object)) reuseMap(object, name, pins.map(name));
    return object.load();
  } catch (error) {
    object.close();
    throw error;
  }
}
