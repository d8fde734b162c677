/**
 * Who sends most: what the lines of the flow table have counted between two looks at it. A look is one pass over the table's
 * memory; of each line 10 bytes are kept of 64. What the kernel carries is not in it.
 */

import { halves, words } from "../datapath/flow-memory.js";
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
const unit = 2 ** unitBits;

/** In words and half words of a line. */
const [packetsAt, lowAt] = [flowOffsets.packets / 4, flowOffsets.bytesLow / 4];
const [sequenceAt, highAt] = [flowOffsets.sequence / 2, flowOffsets.bytesHigh / 2];

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
    const isByBytes = by === "bytes";
    const isFirst = this.#lookedMs === undefined;
    const heap = new TopHeap<Active>(limit);
    let [allFlows, allPackets, allBytes, least] = [0, 0, 0, -1];
    // Of everything that is read a million times, the arrays themselves.
    const [counts, units, sequences] = [this.#packets, this.#units, this.#sequences];
    const { bytes: octets, halves: halfWords, words: allWords, lines } = memory;
    for (let line = 0; line < lines; line++) {
      const sequence = halfWords[line * halves + sequenceAt] as number;
      const counted = allWords[line * words + packetsAt] as number;
      const isSame = sequence === sequences[line];
      if (isSame && counted === counts[line]) continue;
      const now = unitsOf(halfWords[line * halves + highAt] as number, allWords[line * words + lowAt] as number);
      // A line that was written anew has counted from 0 on.
      const packets = isSame ? (counted - (counts[line] as number)) >>> 0 : counted;
      const bytes = (isSame ? (now - (units[line] as number)) >>> 0 : now) * unit;
      if (!isSame) sequences[line] = sequence;
      counts[line] = counted;
      units[line] = now;
      if (isFirst || packets === 0 || octets[line * flowBytes + flowOffsets.protocol] === 0 || !isMeant(line)) continue;
      allFlows++;
      allPackets += packets;
      allBytes += bytes;
      const weight = isByBytes ? bytes : packets;
      if (weight <= least) continue;
      const copy = Buffer.alloc(flowBytes);
      if (memory.copy(line, copy)) heap.add(weight, { copy, packets, bytes });
      least = heap.least;
    }
    const seconds = Math.max(0.001, (nowMs - (this.#lookedMs ?? nowMs)) / 1000);
    this.#lookedMs = nowMs;
    return this.#report(heap.sorted(), { flows: allFlows, packets: allPackets, bytes: allBytes }, seconds);
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
