/**
 * What the programs have dropped and not told of: drops by their exact counts, less those that were told of. Counts are
 * read before the events of their time, so that a drop on its way is not taken for one that was left out.
 */

import type { RawEvent } from "../datapath/raw-event.js";
import { reasons } from "../datapath/reasons.js";
import type { Named } from "../flow/list.js";
import type { LeftOut } from "./schema.js";

/** Of a moment, since the programs count. */
export interface DropCounts {
  /** Tenant id -> reason -> packets. */
  readonly drops: ReadonlyMap<number, Readonly<Record<string, { readonly packets: number }>>>;
  readonly kernelDrops: number;
  readonly eventsLost: number;
}

const isDrop = new Set(reasons.filter(({ verdict }) => verdict === "drop").map(({ name }) => name));

export class LeftOutCounter {
  /** `tenant reason`. What was there before, was told of, or has been said to be left out. */
  readonly #known = new Map<string, number>();
  #pending: DropCounts | undefined;
  #kernelDrops: number;
  #eventsLost: number;

  constructor(first: DropCounts) {
    for (const { place, packets } of dropsOf(first)) this.#known.set(place, packets);
    this.#kernelDrops = first.kernelDrops;
    this.#eventsLost = first.eventsLost;
  }

  told({ kind, tenant, reason }: RawEvent): void {
    if (kind !== "drop") return;
    const place = `${tenant} ${reasons[reason]?.name}`;
    this.#known.set(place, (this.#known.get(place) ?? 0) + 1);
  }

  /**
   * What is known to be left out by now: of the counts that were given the last time.
   *
   * @param now undefined at the end, when all events are there
   * @returns undefined when nothing is
   */
  look(now: DropCounts | undefined, tenants: readonly Named[]): Omit<LeftOut, "time" | "kind"> | undefined {
    const was = this.#pending;
    this.#pending = now;
    if (!was) return undefined;
    const drops = dropsOf(was).flatMap(({ place, tenant, reason, packets }) => {
      const known = this.#known.get(place) ?? 0;
      if (packets <= known) return [];
      this.#known.set(place, packets);
      const named = tenants.find(({ id }) => id === tenant);
      return [{ ...(named ? { tenant: named.name, key: named.key } : {}), reason, packets: packets - known }];
    });
    const kernelDrops = Math.max(0, was.kernelDrops - this.#kernelDrops);
    const eventsLost = Math.max(0, was.eventsLost - this.#eventsLost);
    [this.#kernelDrops, this.#eventsLost] = [was.kernelDrops, was.eventsLost];
    if (drops.length === 0 && kernelDrops === 0 && eventsLost === 0) return undefined;
    return { drops, kernelDrops, eventsLost };
  }
}

function dropsOf({ drops }: DropCounts) {
  return [...drops].flatMap(([tenant, counts]) =>
    Object.entries(counts)
      .filter(([reason]) => isDrop.has(reason))
      .map(([reason, { packets }]) => ({ place: `${tenant} ${reason}`, tenant, reason, packets })),
  );
}
