/** The flow table for tests: by key, as if it were a hash map. Not for use while programs write. */
import { type BpfMap, type Btf, type Codec, codecOf, layoutOf } from "libbpf-ts";
import { bucketBytes, flowBytes, flowHome, flowOffsets, flowsIn, flowWays } from "../../../src/datapath/flow-table.js";
import { u32 } from "../../../src/datapath/layout.js";
import type { Flow, FlowKey } from "./types.js";

/** struct xgw_flow */
interface Line extends Omit<Flow, "flags" | "bytes"> {
  readonly bytes_low: number;
  readonly bytes_high: number;
  readonly key: FlowKey & { readonly flags: number; readonly reach?: number };
  readonly sequence?: number;
}

export class FlowTable {
  readonly #lines: Codec<Line>;
  readonly #keys: Codec<FlowKey>;

  constructor(
    readonly map: BpfMap,
    btf: Btf,
  ) {
    this.#lines = codecOf(layoutOf(btf, btf.get("xgw_flow", "struct").id)) as Codec<Line>;
    this.#keys = codecOf(layoutOf(btf, btf.get("xgw_flow_key", "struct").id)) as Codec<FlowKey>;
  }

  get(key: FlowKey): Flow | undefined {
    const { lines, at } = this.#find(key);
    if (at === undefined) return undefined;
    const { key: found, sequence: _, bytes_low, bytes_high, ...flow } = this.#lines.decode(lines, at * flowBytes);
    return { ...flow, bytes: (BigInt(bytes_high) << 32n) | BigInt(bytes_low), flags: found.flags };
  }

  has(key: FlowKey): boolean {
    return this.#find(key).at !== undefined;
  }

  set(key: FlowKey, { flags, bytes, ...flow }: Flow): void {
    const { bucket, home, lines, at = this.#free(lines, home) } = this.#find(key);
    const reach = lines[at * flowBytes + flowOffsets.reach] ?? 0;
    const sequence = lines.readUInt16LE(at * flowBytes + flowOffsets.sequence);
    const encap = flow.encap & 0xffff;
    const counts = { bytes_low: Number(bytes & 0xffff_ffffn), bytes_high: Number(bytes >> 32n) };
    const line = { ...flow, ...counts, encap, key: { ...key, flags, reach }, sequence };
    this.#lines.encodeInto(line, lines, at * flowBytes);
    const homeReach = home * flowBytes + flowOffsets.reach;
    lines[homeReach] = Math.max(lines[homeReach] ?? 0, home ^ at);
    this.map.set(u32(bucket), lines);
  }

  delete(key: FlowKey): boolean {
    const { bucket, lines, at } = this.#find(key);
    if (at === undefined) return false;
    lines[at * flowBytes + flowOffsets.protocol] = 0;
    this.map.set(u32(bucket), lines);
    return true;
  }

  *keys(): Generator<FlowKey> {
    for (const [, bucket] of this.map.entries()) for (const line of flowsIn(bucket)) yield this.#lines.decode(line).key;
  }

  /** Empties the whole table. */
  clear(): void {
    for (const [bucket, lines] of this.map.entries())
      if (lines.some((byte) => byte !== 0)) this.map.set(bucket, Buffer.alloc(bucketBytes));
  }

  #find(key: FlowKey): { bucket: number; home: number; lines: Buffer; at?: number } {
    const { saddr, daddr, sport, dport, realm, protocol, wrap } = key;
    const wanted = this.#keys.encode({ saddr, daddr, sport, dport, realm, protocol, wrap });
    const { bucket, way: home } = flowHome(wanted, this.map.maxEntries);
    const lines = this.map.get(u32(bucket)) ?? Buffer.alloc(bucketBytes);
    for (let at = 0; at < flowWays; at++) {
      const line = lines.subarray(at * flowBytes, at * flowBytes + flowOffsets.protocol + 2);
      if (line.equals(wanted.subarray(0, line.length))) return { bucket, home, lines, at };
    }
    return { bucket, home, lines };
  }

  #free(lines: Buffer, home: number): number {
    for (let i = 0; i < flowWays; i++) if (lines[(home ^ i) * flowBytes + flowOffsets.protocol] === 0) return home ^ i;
    throw new Error("the test's bucket is full");
  }
}
