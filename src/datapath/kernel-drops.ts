/** What the kernel's own path drops of tenants' packets, into the ring of one monitor: by a program that goes with the monitor. */

import { type BpfLink, type BpfMap, type BpfObject, Btf } from "libbpf-ts";
import { namespaceInode } from "../kernel/namespace.js";
import { readCount, u32 } from "./layout.js";
import { reuseMap } from "./load.js";
import type { Missed } from "./monitor-ring.js";
import { openFile } from "./objects.js";
import type { Pins } from "./pins.js";

/** Maps that it shares with the gateway. */
const sharedMaps = ["tunnels", "monitor_rings"] as const;

export class KernelDrops implements Disposable {
  readonly #object: BpfObject;
  readonly #link: BpfLink;
  readonly #missed: BpfMap;

  /** @param slot of the monitor's ring */
  constructor(pins: Pins, slot: number) {
    this.#object = openFile("drops.bpf.o");
    try {
      this.#object.setVariable("netns_inode", u32(namespaceInode()));
      this.#object.setVariable("monitor_slot", u32(slot));
      for (const name of sharedMaps) reuseMap(this.#object, name, pins.map(name));
      this.#object.load();
      this.#link = this.#object.program("xgw_kernel_drop").attachRawTracepoint("kfree_skb");
      this.#missed = this.#object.map("drops_missed");
    } catch (error) {
      this.#object.close();
      throw error;
    }
  }

  missed(): Missed {
    const sum = (why: number) =>
      (this.#missed.getPerCpu(u32(why)) ?? []).reduce((total, count) => total + readCount(count, 0), 0);
    return { full: sum(0), overShare: sum(1) };
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
    this.#object.close();
  }
}

/** The running kernel's reasons by number, such as `netfilter_drop`. */
export function kernelReasons(): ReadonlyMap<number, string> {
  const reasons = Btf.vmlinux().get("skb_drop_reason", "enum");
  return new Map(reasons.values.map(({ name, value }) => [value, name.replace("SKB_DROP_REASON_", "").toLowerCase()]));
}
