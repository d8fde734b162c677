/** Events as they happen: the programs', the kernel's drops, the daemon's news, and what was left out, in one order. */

import { setTimeout as sleep } from "node:timers/promises";
import type { DaemonReport } from "../daemon-socket.js";
import { readReasons } from "../datapath/counters.js";
import type { EventTap } from "../datapath/event-tap.js";
import type { Pins } from "../datapath/pins.js";
import type { RawEvent } from "../datapath/raw-event.js";
import { readLosses } from "../datapath/usage.js";
import type { Named } from "../flow/list.js";
import { nobody } from "../model/desired.js";
import { daemonNews } from "./daemon-news.js";
import { describeEvent, isoMicroseconds, type Subject } from "./describe.js";
import { type DropCounts, LeftOutCounter } from "./left-out.js";
import type { MonitorEvent } from "./schema.js";

export interface Told {
  readonly event: MonitorEvent;
  /** What it was made of; undefined for what no program has said. */
  readonly raw?: RawEvent;
}

export interface MonitorOptions {
  readonly pins: Pins;
  readonly tap: EventTap;
  /** As it was before the tap was opened: what was dropped since is told of, or left out. */
  readonly before: DropCounts;
  readonly subject: Omit<Subject, "tenantOf">;
  /** Read anew when an event names a tenant that is not among them, at most once a second. */
  readonly readTenants: () => readonly Named[];
  /** Undefined: there is no daemon. */
  readonly askDaemon: () => Promise<DaemonReport | undefined>;
  readonly signal: AbortSignal;
}

/** How often the ring is read, and how often the rest is looked at, milliseconds. */
const [readMs, lookMs] = [50, 1000];

/** Until the signal, or until what is listened to has gone. At its end it says what was left out. */
export async function* monitor(options: MonitorOptions): AsyncGenerator<Told> {
  const { pins, tap, before, subject, readTenants, askDaemon, signal } = options;
  let tenants = readTenants();
  let byId = new Map(tenants.map((tenant) => [tenant.id, tenant]));
  let mayRead = true;
  const tenantOf = (id: number) => {
    if (!byId.has(id) && id !== nobody && mayRead) {
      mayRead = false;
      tenants = readTenants();
      byId = new Map(tenants.map((tenant) => [tenant.id, tenant]));
    }
    return byId.get(id);
  };
  const leftOut = new LeftOutCounter(before);
  const read = function* (): Generator<Told> {
    for (const raw of tap.take()) {
      leftOut.told(raw);
      const event = describeEvent(raw, { ...subject, tenantOf });
      if (event) yield { event, raw };
    }
  };
  const saidNow = (counts: DropCounts | undefined): Told[] => {
    const rest = leftOut.look(counts, tenants);
    return rest ? [{ event: { kind: "left_out", time: now(), ...rest } }] : [];
  };
  let report = await askDaemon();
  let next = performance.now() + lookMs;
  while (!signal.aborted && tap.isThere) {
    yield* read();
    if (performance.now() >= next) {
      next = performance.now() + lookMs;
      mayRead = true;
      yield* saidNow(countDrops(pins, tap, tenants));
      const was = report;
      report = await askDaemon();
      for (const news of daemonNews(was, report)) yield { event: { ...news, time: now() } };
    }
    await sleep(readMs, undefined, { signal }).catch(() => {});
  }
  const last = countDrops(pins, tap, tenants);
  yield* read();
  yield* saidNow(last); // of the counts before
  yield* saidNow(undefined);
}

const now = (): string => isoMicroseconds(BigInt(Date.now()) * 1000n);

/** @param tap undefined before there is one */
export function countDrops(pins: Pins, tap: EventTap | undefined, tenants: readonly Named[]): DropCounts {
  const ids = [nobody, ...tenants.map(({ id }) => id)];
  const losses = [...readLosses(pins, ids).values()];
  return {
    drops: readReasons(pins, ids),
    kernelDrops: tap?.kernelDropsLeftOut ?? 0,
    eventsLost: losses.reduce((sum, { eventsLost }) => sum + eventsLost, 0),
  };
}
