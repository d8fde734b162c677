/**
 * How a device says whose it is: by its alias, xgw/INSTANCE/TENANT. The kernel gives a new device no alias, so that for a
 * moment, or for as long as it takes when a run is killed just then, a device has only what it can be made with: a group
 * of the instance's own. It keeps the group, by which the rules of several instances tell whose a packet is.
 */

import { createHash } from "node:crypto";

export const ownerOf = (instance: string, tenant: string): string => `xgw/${instance}/${tenant}`;

/** The instance that an alias names; undefined when it is none of xgw's. */
export const instanceOf = (alias: string): string | undefined => /^xgw\/([^/]+)\//.exec(alias)?.[1];

/** The bit that groups of instances have, and nobody counts up to. */
export const groupBit = 2 ** 30;

/** The group of an instance's devices. */
export function groupOf(instance: string): number {
  return groupBit + (createHash("sha256").update(`xgw/${instance}`).digest().readUInt32BE(0) >>> 2);
}

/** In the range that iproute2 leaves to others (rt_protos): marks the routes and routing rules that xgw made. */
export const routeProtocol = 201;
