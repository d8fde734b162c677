/** A check: something that must be seen on real traffic. */

import type { Host } from "./host.js";
import type { Topology } from "./topology.js";
import type { Xgw } from "./xgw.js";

export interface Lab {
  readonly topology: Topology;
  readonly client: Host;
  readonly user1: Host;
  readonly user2: Host;
  readonly xgw: Xgw;
  /** What a snapshot of the gateway's namespace said before xgw came. */
  readonly before: string;
}

/** Packets of one direction of time, by the tier that carried them. */
export interface Tiers {
  readonly xdp: number;
  readonly kernel: number;
}

export interface Seen {
  readonly ok: boolean;
  /** For the table: what was seen, short. */
  readonly seen: string;
  readonly tiers?: Tiers;
}

export interface Check {
  readonly id: string;
  readonly title: string;
  readonly wanted: string;
  run(lab: Lab): Promise<Seen>;
}

export interface CheckResult extends Seen {
  readonly id: string;
  readonly title: string;
  readonly wanted: string;
  readonly seconds: number;
}

/** Runs a check; what it throws is a failure like any other. */
export async function runCheck(check: Check, lab: Lab): Promise<CheckResult> {
  const started = performance.now();
  const seen = await check.run(lab).catch((error: Error): Seen => ({ ok: false, seen: error.message }));
  const { id, title, wanted } = check;
  return { id, title, wanted, ...seen, seconds: Math.round((performance.now() - started) / 100) / 10 };
}
