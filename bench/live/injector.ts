/** Sends packets into far ends of wires by live test runs, and counts what arrives at sinks. */
import type { BpfLink, BpfMap, BpfObject } from "libbpf-ts";
import type { Generator, Traffic } from "../generator.js";
import { load, u32 } from "../objects.js";
import { softirqNs } from "./softirq.js";
import type { Place } from "./wires.js";

/** How long the last packets may be on their way. */
const patienceMs = 5000;

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A device to send out of, and its network namespace. */
export interface Port {
  readonly place: Place;
  readonly ifindex: number;
}

/** Not all that was sent has arrived. */
export class LostPackets extends Error {}

export class Injector {
  readonly #object: BpfObject;
  readonly #way: BpfMap;
  readonly #arrived: BpfMap;
  readonly #sinks: BpfLink[] = [];

  constructor(private readonly generator: Generator) {
    this.#object = load("bench-live");
    this.#way = this.#object.map("way");
    this.#arrived = this.#object.map("arrived");
  }

  /** Counts and drops all that arrives at a device. */
  addSink({ place, ifindex }: Port): void {
    const sink = this.#object.program("sink");
    this.#sinks.push(place.within(() => sink.attachXdp({ ifindex, mode: "native" })));
  }

  /** Packets that sinks have had. */
  get arrived(): number {
    const counts = this.#arrived.getPerCpu(u32(0)) ?? [];
    return counts.reduce((sum, count) => sum + Number(count.readBigUInt64LE(0)), 0);
  }

  /**
   * Sends packets of flow after flow. Nanoseconds in all, the whole way to the sinks: a test run of live
   * frames handles their way through the devices as well, and what it leaves to the kernel's thread is added.
   * @throws LostPackets when not as many arrived as were sent.
   */
  send(traffic: Traffic, { place, ifindex }: Port, packets: number): number {
    this.generator.aim(this.#object.program("send"));
    this.generator.set(traffic, Math.floor(Math.random() * traffic.flows));
    const before = this.arrived;
    const threadBefore = softirqNs();
    const ns = place.within(() => {
      this.#way.set(u32(0), u32(ifindex));
      return this.generator.sendLive(traffic, packets);
    });
    const deadline = performance.now() + patienceMs;
    while (this.arrived - before < packets && performance.now() < deadline) sleep(1);
    const seen = this.arrived - before;
    if (seen !== packets)
      throw new LostPackets(`of ${packets} packets of ${traffic.flows} flows, ${seen} came to the sinks`);
    return ns + softirqNs() - threadBefore;
  }

  close(): void {
    for (const sink of this.#sinks) sink.close();
    this.#object.close();
  }
}
