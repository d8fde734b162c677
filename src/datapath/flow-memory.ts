/**
 * The flow table as it lies in memory, without a copy: line by line, and by key. Words are as the machine reads them, so that
 * addresses and ports, which are in network byte order, are to be compared with others that were read in the same way.
 *
 * Programs write meanwhile. A line is whole when its sequence is the same even number before and after it was read
 * (bpf/lib/flow_table.h).
 */

import type { BpfMap } from "libbpf-ts";
import { flowBytes, flowOffsets, flowWays } from "./flow-table.js";
import { littleEndian } from "./layout.js";

/** Words and half words of a line. */
export const [words, halves] = [flowBytes / 4, flowBytes / 2];

/** Offsets in struct xgw_flow of the words that are compared, in words. */
const at = { saddr: 0, daddr: 1, ports: 2, realm: 3 } as const;
/** Of protocol and wrap, in half words. */
const kindAt = flowOffsets.protocol / 2;
const sequenceAt = flowOffsets.sequence / 2;

/** `struct xgw_flow_key`, its addresses and ports as words of memory. */
export interface KeyWords {
  readonly saddr: number;
  readonly daddr: number;
  /** Source and destination. */
  readonly ports: number;
  readonly realm: number;
  /** Protocol and wrap. */
  readonly kind: number;
}

/** How often a line is read that is written every time. */
const patience = 100;

export class FlowMemory {
  /** All of the table, to be read only: for loops over every line, which ask for nothing else. */
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
  readonly #buckets: number;
  readonly #seed: readonly [number, number];
  /** Places for flows. */
  readonly lines: number;

  /** @param seed of the hash, 8 bytes */
  constructor(map: BpfMap, seed: Buffer) {
    const memory = map.memory();
    this.bytes = new Uint8Array(memory);
    this.halves = new Uint16Array(memory);
    this.words = new Uint32Array(memory);
    this.#buckets = map.maxEntries;
    this.#seed = halvesOf(seed);
    this.lines = map.maxEntries * flowWays;
  }

  isUsed(line: number): boolean {
    return this.bytes[line * flowBytes + flowOffsets.protocol] !== 0;
  }

  sequence(line: number): number {
    return this.halves[line * halves + sequenceAt] as number;
  }

  word(line: number, offset: number): number {
    return this.words[line * words + offset / 4] as number;
  }

  half(line: number, offset: number): number {
    return this.halves[line * halves + offset / 2] as number;
  }

  byte(line: number, offset: number): number {
    return this.bytes[line * flowBytes + offset] as number;
  }

  /** Copies a line. False: it is in no use, or somebody writes to it all the time. */
  copy(line: number, into: Buffer): boolean {
    for (let n = 0; n < patience; n++) {
      // Atomics, for neither compiler nor processor may read the line before or after.
      const before = Atomics.load(this.halves, line * halves + sequenceAt);
      into.set(this.bytes.subarray(line * flowBytes, (line + 1) * flowBytes));
      Atomics.add(fence, 0, 0);
      if (before % 2 === 0 && Atomics.load(this.halves, line * halves + sequenceAt) === before)
        return into[flowOffsets.protocol] !== 0;
    }
    return false;
  }

  /** The line of the key, or -1: the look-up of flow_table.h. */
  find(key: KeyWords): number {
    const { bucket, way: home } = this.home(key);
    const first = bucket * flowWays;
    const reach = this.byte(first + home, flowOffsets.reach);
    for (let i = 0; i < flowWays && i <= reach; i++) {
      const line = first + (home ^ i);
      if (this.#matches(line, key)) return line;
    }
    return -1;
  }

  /** Places of the key's bucket that are in use, of `flowWays`. */
  fill(key: KeyWords): number {
    const first = this.home(key).bucket * flowWays;
    let used = 0;
    for (let way = 0; way < flowWays; way++) if (this.isUsed(first + way)) used++;
    return used;
  }

  #matches(line: number, { saddr, daddr, ports, realm, kind }: KeyWords): boolean {
    const first = line * words;
    return (
      this.words[first + at.saddr] === saddr &&
      this.words[first + at.daddr] === daddr &&
      this.words[first + at.ports] === ports &&
      this.words[first + at.realm] === realm &&
      this.halves[line * halves + kindAt] === kind
    );
  }

  /** flow_hash() and what is made of it, in halves of its 64 bits, for a look-up a line. */
  home({ saddr, daddr, ports, realm, kind }: KeyWords): { readonly bucket: number; readonly way: number } {
    const [addressLow, addressHigh] = littleEndian ? [saddr, daddr] : [daddr, saddr];
    const [portLow, portHigh] = littleEndian ? [ports, realm] : [realm, ports];
    multiply(addressLow ^ this.#seed[0], addressHigh ^ this.#seed[1], 0x7f4a7c15, 0x9e3779b9);
    let low = product.low ^ product.high;
    let high = product.high;
    multiply(kind, 0, 0x6659fd93, 0xd6e8feb8);
    const sum = ((low ^ portLow) >>> 0) + (product.low >>> 0);
    low = sum | 0;
    high = ((high ^ portHigh) + product.high + (sum > 0xffff_ffff ? 1 : 0)) | 0;
    multiply(low, high, 0x27d4eb4f, 0xc2b2ae3d);
    low = (product.low ^ product.high) >>> 0;
    high = product.high >>> 0;
    return { bucket: (((low >>> 5) | (high << 27)) >>> 0) & (this.#buckets - 1), way: low & (flowWays - 1) };
  }
}

/** For a full barrier. */
const fence = new Int32Array(1);

function halvesOf(bytes: Buffer): [number, number] {
  return littleEndian ? [bytes.readUInt32LE(0), bytes.readUInt32LE(4)] : [bytes.readUInt32BE(4), bytes.readUInt32BE(0)];
}

/** What multiply() has found: no object a call. */
const product = { low: 0, high: 0 };

/** The lower 64 bits of a product of two numbers of 64 bits, all in halves. */
function multiply(aLow: number, aHigh: number, bLow: number, bHigh: number): void {
  const [a0, a1] = [aLow & 0xffff, aLow >>> 16];
  const [b0, b1] = [bLow & 0xffff, bLow >>> 16];
  const first = a1 * b0 + ((a0 * b0) >>> 16);
  const second = a0 * b1 + (first & 0xffff);
  product.low = Math.imul(aLow, bLow);
  product.high = (a1 * b1 + (first >>> 16) + (second >>> 16) + Math.imul(aLow, bHigh) + Math.imul(aHigh, bLow)) | 0;
}

/** Words of 16 bits in each other's place: source and destination port. */
export const turned = (ports: number): number => ((ports << 16) | (ports >>> 16)) >>> 0;
