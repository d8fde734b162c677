/**
 * A ring of events of one's own, filled by the programs while it is held (bpf/lib/monitor.h). A slot is taken by a lock, which the
 * kernel frees with the process; the programs stop telling a process that died when the time is over up to which it listens.
 */

import { BpfMap, FileLock, RingBuffer } from "libbpf-ts";
import { BusyError, XgwError } from "../errors.js";
import { holderText } from "../lock.js";
import { prepareRuntimeDirectory, runtimeDirectory, runtimeFile } from "../runtime-directory.js";
import { readCount, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

/** XGW_MONITORS */
export const monitorSlots = 4;
const ringBytes = 1 << 18;
/** How long the programs go on telling somebody who has not been heard of, and how often it is to be heard of. */
const listenNs = 3_000_000_000n;
export const renewMs = 500;

/** Events that were not told, since the ring was opened. */
export interface Missed {
  /** The ring was full. */
  readonly full: number;
  /** More of one tenant at a time than is told. */
  readonly overShare: number;
}

export class MonitorRing implements Disposable {
  /** Of all monitors' slots. */
  readonly slot: number;
  readonly #lock: FileLock;
  readonly #ring: RingBuffer;
  readonly #rings: BpfMap;
  readonly #monitors: BpfMap;
  readonly #missed: BpfMap;
  readonly #before: Missed;

  private constructor(slot: number, lock: FileLock, pins: Pins) {
    this.slot = slot;
    this.#lock = lock;
    this.#monitors = BpfMap.openPinned(pins.map("monitors"));
    this.#missed = BpfMap.openPinned(pins.map("monitor_missed"));
    using map = BpfMap.create({
      type: "ringbuf",
      name: "xgw_monitor",
      keySize: 0,
      valueSize: 0,
      maxEntries: ringBytes,
    });
    this.#ring = new RingBuffer(map);
    this.#rings = BpfMap.openPinned(pins.map("monitor_rings"));
    this.#rings.set(u32(slot), u32(map.fd));
    this.#before = this.#missedNow();
    this.renew();
  }

  /** @throws BusyError when as many monitors run as can; XgwError when the programs are older than monitors */
  static open(pins: Pins, directory = runtimeDirectory): MonitorRing {
    if (!pins.hasMap("monitors"))
      throw new XgwError(
        `the programs of instance ${pins.instance} tell nobody what happens: they are of an older version`,
        {
          remedy: "run `xgw apply` with this version",
        },
      );
    prepareRuntimeDirectory(directory);
    for (let slot = 0; slot < monitorSlots; slot++) {
      const path = runtimeFile(`monitor-${slot}.${pins.instance}.lock`, directory);
      const lock = FileLock.take(path, holderText(`monitor, instance ${pins.instance}`));
      if (lock) return new MonitorRing(slot, lock, pins);
    }
    throw new BusyError(`${monitorSlots} monitors of instance ${pins.instance} run already`, {
      remedy: "end one of them",
    });
  }

  /** To be called every `renewMs`: the programs tell nobody who is not heard of for 3 s. */
  renew(): void {
    this.#listenUntil(process.hrtime.bigint() + listenNs); // CLOCK_MONOTONIC, as the programs read it
    this.#monitors.set(u32(monitorSlots), u64(1n));
  }

  /** Records that are there, struct xgw_monitor_event; does not wait. */
  take(): Buffer[] {
    return this.#ring.take();
  }

  missed(): Missed {
    const now = this.#missedNow();
    return { full: now.full - this.#before.full, overShare: now.overShare - this.#before.overShare };
  }

  close(): void {
    if (this.#ring.closed) return;
    this.#listenUntil(0n); // the programs find out whether anybody else listens
    this.#rings.delete(u32(this.slot)); // and its memory is free
    this.#ring.close();
    this.#rings.close();
    this.#monitors.close();
    this.#missed.close();
    this.#lock.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #listenUntil(time: bigint): void {
    this.#monitors.set(u32(this.slot), u64(time));
  }

  #missedNow(): Missed {
    const sum = (slot: number) =>
      (this.#missed.getPerCpu(u32(slot)) ?? []).reduce((total, count) => total + readCount(count, 0), 0);
    return { full: sum(this.slot), overShare: sum(monitorSlots) };
  }
}

function u64(value: bigint): Buffer {
  return Buffer.from(new BigUint64Array([value]).buffer);
}
