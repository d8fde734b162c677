/**
 * Who sends most: what the lines of the flow table have counted between two looks at it. A look is one pass over the table's
 * memory; of each line 10 bytes are kept of 64. What the kernel carries is not in it.
 */

import { flowBytes, flowOffsets } from "../datapath/flow-table.js";
import type { FlowView } from "../datapath/flow-view.js";
import { readU16 } from "../datapath/layout.js";
import { protocolName } from "./filter.js";
import { TopHeap } from "./heap.js";
import { arrivesAs, leavesAs, ruleField } from "./line.js";
import type { Named } from "./list.js";
import type { Top } from "./schema.js";

export const measures = ["bytes", "packets"] as const;
export type Measure = (typeof measures)[number];

export interface TopOptions {
  readonly by: Measure;
  readonly limit: number;
  readonly tenants: readonly Named[];
  /** Whether a line is meant. */
  readonly isMeant: (line: number) => boolean;
}

/** What a line has counted since the last look. */
interface Active {
  readonly copy: Buffer;
  readonly packets: number;
  readonly bytes: number;
}

/** Bytes are kept in units of so many bits, lest 32 bits wrap around in one interval: 256 GiB do. */
const unitBits = 6;

export class FlowTop {
  readonly #packets: Uint32Array;
  readonly #units: Uint32Array;
  readonly #sequences: Uint16Array;
  #lookedMs: number | undefined;

  constructor(
    private readonly view: FlowView,
    private readonly options: TopOptions,
  ) {
    const { lines } = view.memory;
    this.#packets = new Uint32Array(lines);
    this.#units = new Uint32Array(lines);
    this.#sequences = new Uint16Array(lines);
  }

  /** What was counted since the last time; the first time, from where on is counted. */
  look(): Top {
    const { by, limit, isMeant } = this.options;
    const { memory } = this.view;
    const nowMs = performance.now();
    const heap = new TopHeap<Active>(limit);
    const all = { flows: 0, packets: 0, bytes: 0 };
    for (let line = 0; line < memory.lines; line++) {
      const sequence = memory.sequence(line);
      const counted = memory.word(line, flowOffsets.packets);
      const isSame = sequence === this.#sequences[line];
      if (isSame && counted === this.#packets[line]) continue;
      const units = unitsOf(memory.half(line, flowOffsets.bytesHigh), memory.word(line, flowOffsets.bytesLow));
      // A line that was written anew has counted from 0 on.
      const packets = isSame ? (counted - (this.#packets[line] ?? 0)) >>> 0 : counted;
      const bytes = (isSame ? (units - (this.#units[line] ?? 0)) >>> 0 : units) * 2 ** unitBits;
      this.#sequences[line] = sequence;
      this.#packets[line] = counted;
      this.#units[line] = units;
      if (this.#lookedMs === undefined || packets === 0 || !memory.isUsed(line) || !isMeant(line)) continue;
      all.flows++;
      all.packets += packets;
      all.bytes += bytes;
      const weight = by === "bytes" ? bytes : packets;
      if (!heap.admits(weight)) continue;
      const copy = Buffer.alloc(flowBytes);
      if (memory.copy(line, copy)) heap.add(weight, { copy, packets, bytes });
    }
    const seconds = Math.max(0.001, (nowMs - (this.#lookedMs ?? nowMs)) / 1000);
    this.#lookedMs = nowMs;
    return this.#report(heap.sorted(), all, seconds);
  }

  #report(shown: readonly Active[], all: { flows: number; packets: number; bytes: number }, seconds: number): Top {
    const names = new Map(this.options.tenants.map((tenant) => [tenant.id, tenant]));
    const rate = (number: number) => Math.round((number / seconds) * 10) / 10;
    const left = (what: "packets" | "bytes") => all[what] - shown.reduce((sum, active) => sum + active[what], 0);
    return {
      at: new Date().toISOString(),
      seconds: Math.round(seconds * 1000) / 1000,
      flows: shown.map(({ copy, packets, bytes }) => {
        const id = readU16(copy, flowOffsets.tenant);
        return {
          tenant: names.get(id)?.name ?? `#${id}`,
          key: names.get(id)?.key ?? 0,
          protocol: protocolName(copy[flowOffsets.protocol] ?? 0),
          arrives: arrivesAs(copy),
          leaves: leavesAs(copy),
          packetsPerSecond: rate(packets),
          bitsPerSecond: rate(8 * bytes),
          ...ruleField(this.view.markNow(copy)),
        };
      }),
      rest: {
        flows: all.flows - shown.length,
        packetsPerSecond: rate(left("packets")),
        bitsPerSecond: rate(8 * left("bytes")),
      },
    };
  }
}

const unitsOf = (high: number, low: number): number => ((low >>> unitBits) | (high << (32 - unitBits))) >>> 0;
