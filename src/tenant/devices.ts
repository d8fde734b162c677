/** The devices that xgw makes for a tenant, as the kernel has them. */

import type { Link } from "../kernel/rtnetlink.js";
import type { Device } from "./schema.js";

export const deviceNames = (key: number): readonly [vrf: string, tunnel: string] => [`xvrf${key}`, `xgre${key}`];

/** @param links these or more */
export function devicesOf(key: number, links: ReadonlyMap<string, Link>): Device[] {
  return deviceNames(key).map((name) => {
    const link = links.get(name);
    return link ? { name, isUp: link.isUp, mtu: link.mtu } : { name };
  });
}

export const byName = (links: readonly Link[]): ReadonlyMap<string, Link> =>
  new Map(links.map((link) => [link.name, link]));
