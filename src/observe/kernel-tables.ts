/** How full the kernel's tables are that all tenants share, and whether they can become as large as they have to. */

import type { Finding } from "../finding.js";
import { readConntrackCounts } from "../kernel/conntrack.js";
import { isSettable, readSysctl } from "../kernel/sysctl.js";
import type { Desired } from "../model/desired.js";
import { conntrackMax, isMinimum, suffices, tableSysctls } from "../plan/sysctls.js";

export interface Conntrack {
  /** Connections that there are in this network namespace, tenants' and others. */
  readonly entries: number;
  /** How many there can be. */
  readonly max: number;
  /** Since the namespace began: connections that were ended to make room, and packets that were dropped for want of it. */
  readonly earlyDrops: number;
  readonly drops: number;
  /** Connections that could not be confirmed: another had taken their tuple, or a chain of the table was too long. */
  readonly insertFailures: number;
}

export function readConntrack(): Conntrack {
  const setting = (name: string) => Number(readSysctl(name) ?? 0);
  return { entries: setting("net.netfilter.nf_conntrack_count"), max: setting(conntrackMax), ...readConntrackCounts() };
}

/** The limits of the kernel's tables that are too small for the config and cannot be raised from here. */
export function tableFindings(desired: Desired): Finding[] {
  return tableSysctls(desired).flatMap(([name, wanted]) => {
    const value = readSysctl(name);
    if (value === undefined || isSettable(name) || suffices(name, value, wanted)) return [];
    return [
      {
        id: "table_too_small",
        severity: "warning",
        subject: name,
        what: `${name} is ${value}, and the config promises tenants more`,
        why: "it cannot be set from this network namespace",
        evidence: `sysctl ${name}`,
        remedy: `nsenter --net=/proc/1/ns/net sysctl ${name}=${wanted}`,
      },
    ];
  });
}

export const fixedSysctls = (desired: Desired): ReadonlySet<string> =>
  new Set(tableSysctls(desired).flatMap(([name]) => (isMinimum(name) && !isSettable(name) ? [name] : [])));
