/**
 * A monitor's end of the programs' events: its ring, in a place of the map `events`, and a program of its own that hears what
 * the kernel drops. A lock says whose the place is, which the kernel frees with the process; what a monitor that was killed
 * has left is taken away by the next.
 */

import { BpfMap, type BpfObject, FileLock, possibleCpus, RingBuffer } from "libbpf-ts";
import { BusyError, KernelError, XgwError } from "../errors.js";
import { namespaceInode } from "../kernel/namespace.js";
import { holderOf, holderText } from "../lock.js";
import { prepareRuntimeDirectory, runtimeDirectory, runtimeFile } from "../runtime-directory.js";
import { readCount, u32 } from "./layout.js";
import { openFile, pinnedMapNames } from "./objects.js";
import type { Pins } from "./pins.js";
import { decodeEvent, type RawEvent } from "./raw-event.js";

/** XGW_MONITORS, XGW_MONITOR_BYTES */
export const monitorsMax = 4;
const ringBytes = 1 << 18;
const observerFile = "monitor.bpf.o";
/** More than a ring has room for. */
const takenMax = 8192;
/** Programs ration drops by this. */
const roundMs = 100;

export interface TapOptions {
  /** Where the lock's file is; /run/xgw unless given. */
  readonly directory?: string;
}

export class EventTap implements Disposable {
  readonly #pins: Pins;
  /** What goes with it, in the order in which it was made. */
  readonly #parts: readonly Disposable[];
  readonly #slot: number;
  readonly #map: BpfMap;
  readonly #reader: RingBuffer;
  readonly #observer: BpfObject;
  readonly #timer: NodeJS.Timeout;
  #rings: BpfMap;
  #listeners: BpfMap;

  /**
   * @throws XgwError where nothing is applied, or by another version; BusyError when as many monitors listen as can;
   *   KernelError when this kernel does not take the program
   */
  constructor(pins: Pins, { directory = runtimeDirectory }: TapOptions = {}) {
    this.#pins = pins;
    checkIsThere(pins);
    prepareRuntimeDirectory(directory);
    const parts: Disposable[] = [];
    const own = <T extends Disposable>(part: T): T => {
      parts.push(part);
      return part;
    };
    try {
      this.#rings = BpfMap.openPinned(pins.map("events"));
      own({ [Symbol.dispose]: () => this.#rings.close() });
      this.#listeners = BpfMap.openPinned(pins.map("listeners"));
      own({ [Symbol.dispose]: () => this.#listeners.close() });
      const { slot, lock } = takePlace(pins.instance, this.#rings, directory);
      own(lock);
      this.#slot = slot;
      const kind = { type: "ringbuf", name: "xgw_monitor", keySize: 0, valueSize: 0 } as const;
      this.#map = own(BpfMap.create({ ...kind, maxEntries: ringBytes }));
      this.#reader = own(new RingBuffer(this.#map));
      this.#observer = own(loadObserver(pins, this.#map));
      own(this.#observer.program("xgw_kernel_drop").attachRawTracepoint("kfree_skb"));
      own({ [Symbol.dispose]: () => this.#leave() });
      this.#listen();
    } catch (error) {
      disposeAll(parts);
      throw error;
    }
    this.#parts = parts;
    this.#timer = setInterval(() => this.#goOn(), roundMs);
    this.#timer.unref();
  }

  /** What has come since the last call. */
  take(): RawEvent[] {
    return this.#reader.take(takenMax).flatMap((record) => decodeEvent(record) ?? []);
  }

  /** Of the kernel's drops, how many this tap was not told of. */
  get kernelDropsLeftOut(): number {
    const values = this.#observer.map("left_out").getPerCpu(u32(0)) ?? [];
    return values.reduce((sum, value) => sum + readCount(value, 0), 0);
  }

  /** Whether there is still something to listen to: a teardown ends it. */
  get isThere(): boolean {
    return this.#pins.hasMap("events") && this.#pins.hasMap("listeners");
  }

  #listen(): void {
    this.#rings.set(u32(this.#slot), u32(this.#map.fd));
    this.#sayRound();
  }

  #sayRound(): void {
    const round = (process.hrtime.bigint() / BigInt(roundMs * 1_000_000)) & 0xffff_ffffn;
    sayRound(this.#listeners, Number(round) || 1);
  }

  /** Where an upgrade has replaced the maps, the place of the same number in the new ones is this monitor's as well. */
  #goOn(): void {
    try {
      using rings = BpfMap.openPinned(this.#pins.map("events"));
      if (rings.info.id === this.#rings.info.id) this.#sayRound();
      else if (rings.type === "array_of_maps") this.#moveTo(rings); // else an older version's
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }

  #moveTo(rings: BpfMap): void {
    const listeners = BpfMap.openPinned(this.#pins.map("listeners"));
    for (const map of [this.#rings, this.#listeners]) map.close();
    [this.#rings, this.#listeners] = [rings.clone(), listeners];
    this.#listen();
  }

  #leave(): void {
    this.#rings.delete(u32(this.#slot));
    if (!isAnybodyThere(this.#rings)) sayRound(this.#listeners, 0);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    disposeAll(this.#parts);
  }
}

/** To all CPUs: struct xgw_listeners. */
function sayRound(listeners: BpfMap, round: number): void {
  listeners.setPerCpu(u32(0), Array<Buffer>(possibleCpus()).fill(u32(round, 0)));
}

/** The last one first. */
function disposeAll(parts: readonly Disposable[]): void {
  for (const part of [...parts].reverse()) part[Symbol.dispose]();
}

function checkIsThere(pins: Pins): void {
  if (!pins.hasMap("events"))
    throw new XgwError(`nothing of instance ${pins.instance} is applied here`, { remedy: "run `xgw apply` first" });
  using rings = BpfMap.openPinned(pins.map("events"));
  if (rings.type === "array_of_maps" && pins.hasMap("listeners")) return;
  throw new XgwError("another version of xgw has been applied, whose events one reader alone can have", {
    remedy: "run `xgw apply`, which brings its programs to this version",
  });
}

/** The first place that is free. Rings that dead monitors have left are taken away. */
function takePlace(instance: string, rings: BpfMap, directory: string): { slot: number; lock: FileLock } {
  let taken: { slot: number; lock: FileLock } | undefined;
  const pathOf = (slot: number) => runtimeFile(`${instance}.monitor-${slot}.lock`, directory);
  for (let slot = 0; slot < monitorsMax; slot++) {
    const lock = FileLock.take(pathOf(slot), holderText("monitor"));
    if (!lock) continue;
    if (rings.has(u32(slot))) rings.delete(u32(slot));
    if (taken) lock.release();
    else taken = { slot, lock };
  }
  if (taken) return taken;
  const holders = Array.from({ length: monitorsMax }, (_, slot) => holderOf(pathOf(slot)));
  throw new BusyError(`${monitorsMax} monitors listen already, which is as many as can: ${holders.join(", ")}`, {
    remedy: "stop one of them",
  });
}

const isAnybodyThere = (rings: BpfMap): boolean =>
  Array.from({ length: monitorsMax }, (_, slot) => slot).some((slot) => rings.has(u32(slot)));

/** Over the maps in use, and with this ring. */
function loadObserver(pins: Pins, ring: BpfMap): BpfObject {
  const object = openFile(observerFile);
  try {
    object.setVariable("netns_inode", u32(namespaceInode()));
    object.reuseMap("ring", ring);
    for (const name of pinnedMapNames(object)) {
      if (!pins.hasMap(name)) continue; // its own
      using map = BpfMap.openPinned(pins.map(name));
      object.reuseMap(name, map);
    }
    return object.load();
  } catch (error) {
    object.close();
    throw new KernelError(`this kernel does not take ${observerFile}: ${(error as Error).message}`, {
      cause: error,
      remedy: "xgw needs Linux 6.12 or later with BTF",
    });
  }
}
