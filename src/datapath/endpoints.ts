/** What the learner asks of the config's addresses before it learns a flow. */

import { BpfMap } from "libbpf-ts";
import { be32 } from "../bytes.js";
import { addressBytes, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

/** Whether the tenant's routes say by which tunnel endpoint the address sends: a look-up by longest prefix. */
export function hasEndpoint(pins: Pins, tenant: number, address: string): boolean {
  using map = BpfMap.openPinned(pins.map("endpoints"));
  return map.has(Buffer.concat([u32(64), be32(tenant), addressBytes(address)]));
}

/** Whether packets to the address come in plain IP, by the uplink. */
export function isPublic(pins: Pins, address: string): boolean {
  using map = BpfMap.openPinned(pins.map("public_ips"));
  return map.has(addressBytes(address));
}

/** Whether XDP may redirect to the device. */
export function takesRedirects(pins: Pins, ifindex: number): boolean {
  using map = BpfMap.openPinned(pins.map("nics"));
  return map.has(u32(ifindex));
}
