/** All tenants, a line each. As much work as there are tenants, whatever flows they have. */

import type { Pins } from "../datapath/pins.js";
import { readSessions } from "../datapath/sessions.js";
import { readLimits, readUsage } from "../datapath/usage.js";
import type { Named } from "../flow/list.js";
import { readLinks } from "../kernel/rtnetlink.js";
import { byName, devicesOf } from "./devices.js";
import type { TenantList } from "./schema.js";

export function listTenants(pins: Pins, tenants: readonly Named[]): TenantList {
  const ids = tenants.map(({ id }) => id);
  const links = byName(readLinks());
  const sessions = readSessions(pins);
  const limits = readLimits(pins, ids);
  const flows = readUsage(pins, "flow", ids);
  return tenants.map(({ id, key, name }) => ({
    name,
    key,
    devices: devicesOf(key, links),
    ...(sessions ? { sessions: Math.max(0, sessions[id] ?? 0) } : {}),
    sessionsLimit: limits.get(id)?.sessions ?? 0,
    flows: flows.get(id) ?? 0,
  }));
}
