/** A check: something that must be seen on real traffic. */

import { setTimeout as sleep } from "node:timers/promises";
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
  /** What a bulk transfer sends each way, bytes. */
  readonly bulkBytes: number;
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

/** No check takes as long on an emulated kernel of a busy machine. */
export const checkTimeoutMs = 300_000;

/** Runs a check; what it throws is a failure like any other, and so is that it does not end. */
export async function runCheck(check: Check, lab: Lab): Promise<CheckResult> {
  const started = performance.now();
  const over = new AbortController();
  const tooLong = sleep(checkTimeoutMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not ended after ${checkTimeoutMs / 1000} s`);
  });
  const seen = await Promise.race([check.run(lab), tooLong]).catch(
    (error: Error): Seen => ({ ok: false, seen: error.message }),
  );
  tooLong.catch(() => {});
  over.abort();
  const { id, title, wanted } = check;
  return { id, title, wanted, ...seen, seconds: Math.round((performance.now() - started) / 100) / 10 };
}
