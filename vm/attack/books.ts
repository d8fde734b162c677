/** What is booked to tenants, compared with what they sent and got: nobody pays for another's packets. */

import { type Count, readForwarded, tiers } from "../../src/datapath/accounting.js";
import { readReasons } from "../../src/datapath/counters.js";
import { Pins } from "../../src/datapath/pins.js";
import type { DesiredTenant } from "../../src/model/desired.js";
import { readNftCounters } from "../../src/observe/nft-counters.js";
import { instance } from "./site.js";

export interface Booked {
  /** Packets that were sent on, as they left. */
  readonly forwarded: number;
  /** Packets that XDP passed up or dropped, as they arrived, but for strangers with the tenant's key. */
  readonly declined: number;
  /** Packets that the rules of nft refused by the tenant's policy, or for what they are; but for strangers. */
  readonly denied: number;
  readonly refused: number;
}

/** By tenant key; empty when the programs have gone. */
export function readBooks(tenants: readonly DesiredTenant[]): Map<number, Booked> {
  const pins = new Pins(instance);
  if (!pins.hasMap("stats")) return new Map();
  const ids = tenants.map(({ id }) => id);
  const [forwarded, reasons] = [readForwarded(pins, ids), readReasons(pins, ids)];
  const { denied, refused } = readNftCounters(instance, tenants);
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  return new Map(
    tenants.map(({ key, id }) => [
      key,
      {
        forwarded: sum((forwarded.get(id) ?? []).flatMap((rule) => tiers.map((tier) => rule.tiers[tier].packets))),
        declined: sum(packetsOf(reasons.get(id) ?? {})),
        denied: sum((denied.get(id) ?? []).map(({ packets }) => packets)),
        refused: sum(packetsOf(refused.get(id) ?? {})),
      },
    ]),
  );
}

/** A stranger's packets are counted under the tenant whose key they have. */
const packetsOf = (counts: Readonly<Record<string, Count>>) =>
  Object.entries(counts)
    .filter(([reason]) => reason !== "stranger")
    .map(([, { packets }]) => packets);

/** What a tenant has to do with, by key. */
export class Involved {
  /** Frames that left and were sent by the tenant's hosts, or to them. */
  private readonly left = new Map<number, number>();
  /** Frames that arrived from its hosts, or for its public addresses. */
  private readonly arrived = new Map<number, number>();

  hasLeft(key: number): void {
    this.left.set(key, (this.left.get(key) ?? 0) + 1);
  }

  hasArrived(key: number, frames: number): void {
    this.arrived.set(key, (this.arrived.get(key) ?? 0) + frames);
  }

  /** What was booked in between and is nobody's doing. */
  faults(before: ReadonlyMap<number, Booked>, after: ReadonlyMap<number, Booked>): string[] {
    return [...after].flatMap(([key, booked]) => {
      const was = before.get(key);
      if (!was) return [];
      const [left, arrived] = [this.left.get(key) ?? 0, this.arrived.get(key) ?? 0];
      const fault = (what: keyof Booked, most: number) => {
        const grown = booked[what] - was[what];
        return grown > most
          ? [`to the tenant with key ${key} ${grown} packets were booked as ${what}, and ${most} are its`]
          : [];
      };
      return [
        ...fault("forwarded", left),
        ...fault("declined", arrived),
        ...fault("denied", arrived),
        ...fault("refused", arrived),
      ];
    });
  }
}
