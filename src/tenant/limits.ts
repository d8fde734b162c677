/** How much a tenant has of what all share, and how much it may have. */

import { readNeighbourCounts } from "../datapath/neighbours.js";
import type { Pins } from "../datapath/pins.js";
import { readSessions } from "../datapath/sessions.js";
import { type CountedResource, countedTables } from "../datapath/shares.js";
import { readLimits, readUsage } from "../datapath/usage.js";
import { type Resource, resources } from "../model/shares.js";
import type { TenantReport } from "./schema.js";

export function readTenantLimits(pins: Pins, id: number): TenantReport["limits"] {
  const limits = readLimits(pins, [id]).get(id);
  return resources.map((resource) => {
    const used = readUsed(pins, id, resource);
    // What came and went meanwhile may have been counted the other way round.
    return { resource, ...(used === undefined ? {} : { used: Math.max(0, used) }), limit: limits?.[resource] ?? 0 };
  });
}

/** Undefined: nobody counts. */
function readUsed(pins: Pins, id: number, resource: Resource): number | undefined {
  switch (resource) {
    case "sessions":
      return readSessions(pins)?.[id];
    case "neighbours":
      return readNeighbourCounts(pins)?.[id];
    case "newPerSecond":
    case "eventsPerSecond":
      return undefined;
    default:
      return readUsage(pins, countedTables[resource satisfies CountedResource], [id]).get(id);
  }
}
