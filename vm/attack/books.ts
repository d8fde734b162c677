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
  /** Of those that XDP passed up, what programs refused in the kernel's path: both are counted. */
  readonly limited: number;
  /** Packets that the rules of nft refused by the tenant's policy, or for what they are; but for strangers. */
  readonly denied: number;
  readonly refused: number;
}

const nothing: Booked = { forwarded: 0, declined: 0, limited: 0, denied: 0, refused: 0 };
const columns = Object.keys(nothing) as (keyof Booked)[];

/** By tenant key. What the programs count is nothing when they have gone. */
export function readBooks(tenants: readonly DesiredTenant[]): Map<number, Booked> {
  const pins = new Pins(instance);
  const ids = tenants.map(({ id }) => id);
  const [forwarded, reasons] = [readForwarded(pins, ids), readReasons(pins, ids)];
  const { denied, refused } = readNftCounters(instance, tenants);
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  return new Map(
    tenants.map(({ key, id }) => [
      key,
      {
        forwarded: sum((forwarded.get(id) ?? []).flatMap((rule) => tiers.map((tier) => rule.tiers[tier].packets))),
        declined: sum(packetsOf(reasons.get(id) ?? {}, (reason) => !inKernelsPath.includes(reason))),
        limited: sum(packetsOf(reasons.get(id) ?? {}, (reason) => inKernelsPath.includes(reason))),
        denied: sum((denied.get(id) ?? []).map(({ packets }) => packets)),
        refused: sum(packetsOf(refused.get(id) ?? {})),
      },
    ]),
  );
}

/** Counted in the kernel's path, where XDP may have counted the same packet as passed up. */
export const inKernelsPath: readonly string[] = ["quota", "neighbours", "fragments", "spoofed", "no_port"];

/** A stranger's packets are counted under the tenant whose key they have. */
const packetsOf = (counts: Readonly<Record<string, Count>>, isMeant: (reason: string) => boolean = () => true) =>
  Object.entries(counts)
    .filter(([reason]) => reason !== "stranger" && isMeant(reason))
    .map(([, { packets }]) => packets);

/** What tenants have to do with, by key, and what was booked to them meanwhile. */
export class Ledger {
  /** Frames that left and were sent by the tenant's hosts, or to them. */
  private readonly left = new Map<number, number>();
  /** Frames that arrived from its hosts, or for its public addresses. */
  private readonly arrived = new Map<number, number>();
  private readonly last: Map<number, Booked>;
  private readonly grown = new Map<number, Booked>();

  /** @param before what is booked already */
  constructor(before: ReadonlyMap<number, Booked>) {
    this.last = new Map(before);
  }

  hasLeft(key: number): void {
    this.left.set(key, (this.left.get(key) ?? 0) + 1);
  }

  hasArrived(key: number, frames: number): void {
    this.arrived.set(key, (this.arrived.get(key) ?? 0) + frames);
  }

  /**
   * Adds what has been booked since the last time. A count that has become smaller began again, as that of a tenant that was
   * not there meanwhile; a tenant that is seen for the first time begins with nothing.
   */
  enter(books: ReadonlyMap<number, Booked>): void {
    for (const [key, booked] of books) {
      const [was, sum] = [this.last.get(key) ?? nothing, this.grown.get(key) ?? nothing];
      const grown = (what: keyof Booked) => booked[what] - (booked[what] < was[what] ? 0 : was[what]);
      this.grown.set(key, {
        forwarded: sum.forwarded + grown("forwarded"),
        declined: sum.declined + grown("declined"),
        limited: sum.limited + grown("limited"),
        denied: sum.denied + grown("denied"),
        refused: sum.refused + grown("refused"),
      });
      this.last.set(key, booked);
    }
  }

  /** What was booked and is nobody's doing. */
  faults(): string[] {
    return [...this.grown].flatMap(([key, grown]) =>
      columns.flatMap((what) => {
        const most = (what === "forwarded" ? this.left : this.arrived).get(key) ?? 0;
        return grown[what] > most
          ? [`to the tenant with key ${key} ${grown[what]} packets were booked as ${what}, and ${most} are its`]
          : [];
      }),
    );
  }
}
