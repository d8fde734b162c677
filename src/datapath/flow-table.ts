/** The flow table as bytes: the TypeScript side of bpf/lib/flow_table.h. */

import type { Batch, BpfMap } from "libbpf-ts";
import { littleEndian, readU16, readU32 } from "./layout.js";

/** XGW_FLOW_WAYS: flows in a bucket. */
export const flowWays = 32;
/** sizeof(struct xgw_flow) */
export const flowBytes = 64;
export const bucketBytes = flowWays * flowBytes;
/** Offsets in struct xgw_flow. */
export const flowOffsets = {
  ...{ keySaddr: 0, keyDaddr: 4, keyPorts: 8, realm: 12, protocol: 16, wrap: 17, flags: 18, reach: 19 },
  ...{ sequence: 20, tenant: 22, generation: 24, peer: 28, saddr: 32, daddr: 36, ports: 40, encap: 46, checked: 48 },
  ...{ rule: 52, bytesHigh: 54, packets: 56, bytesLow: 60 },
} as const;
/** XGW_FLOW_REPLY */
export const replyFlag = 1;
/** Buckets that are read by one system call: half a megabyte. */
export const bucketsAtOnce = 256;

/** Entries of the map for so many flows: half of the places stay free, so that no bucket overflows. A power of two. */
export function flowBuckets(flows: number): number {
  return 2 ** Math.max(0, Math.ceil(Math.log2((2 * flows) / flowWays)));
}

/** The lines in use of one or more packed buckets. */
export function* flowsIn(buckets: Buffer): Generator<Buffer> {
  for (let at = 0; at < buckets.length; at += flowBytes)
    if (buckets[at + flowOffsets.protocol] !== 0) yield buckets.subarray(at, at + flowBytes);
}

/** Where a line of some version has what says whether it is used, and whole. Bytes. */
export interface LineFields {
  readonly bytes: number;
  readonly protocol: number;
  readonly sequence: number;
}

type StableLine = readonly [bytes: Buffer, offset: number, bucket: number];

/** Of a table that XDP writes to meanwhile. */
const stableBuckets = 256;

/**
 * The lines in use, each as [bytes, offset into them, bucket], and none of two halves. A line is read by its bytes in no order, so
 * that one look at its sequence says nothing: three readings are made one after the other, and when the first and the last
 * have the same even sequence, nobody wrote during the one between. A line that is just being written is tried again.
 */
export function* readStableBuckets(map: BpfMap, fields: LineFields): Generator<StableLine> {
  const readings = [0, 1, 2].map(() => map.batches({ size: stableBuckets }));
  for (;;) {
    const [first, second, third] = readings.map((reading) => reading.next().value) as (Batch | undefined)[];
    if (!first || !second || !third) return;
    const length = Math.min(first.values.length, second.values.length, third.values.length);
    for (let at = 0; at < length; at += fields.bytes) {
      const isWhole = sequenceOf(first.values, at) === sequenceOf(third.values, at) && isEven(first.values, at);
      if (isWhole && second.values[at + fields.protocol] !== 0)
        yield [second.values, at, readU32(first.keys, Math.floor(at / map.valueStride))];
      if (!isWhole) yield* readLine(map, fields, first.keys, at);
    }
  }
  function sequenceOf(values: Buffer, at: number): number {
    return values.readUInt16LE(at + fields.sequence); // compared only with itself
  }
  function isEven(values: Buffer, at: number): boolean {
    return readU16(values, at + fields.sequence) % 2 === 0;
  }
}

/** How often a line is looked at that is written every time. */
const patience = 100;

function* readLine(map: BpfMap, fields: LineFields, keys: Buffer, at: number): Generator<StableLine> {
  const key = keys.subarray(map.keySize * Math.floor(at / map.valueStride)).subarray(0, map.keySize);
  const line = at % map.valueStride;
  for (let n = 0; n < patience; n++) {
    const [first, second, third] = [0, 1, 2].map(() => map.get(key)) as [Buffer, Buffer, Buffer];
    const sequence = readU16(first, line + fields.sequence);
    if (sequence % 2 !== 0 || sequence !== readU16(third, line + fields.sequence)) continue;
    if (second[line + fields.protocol] !== 0) yield [second, line, readU32(key, 0)];
    return;
  }
}

const mask64 = 0xffff_ffff_ffff_ffffn;
const fold = (hash: bigint) => hash ^ (hash >> 32n);

function word(bytes: Buffer, offset: number, size: 2 | 8): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, size);
  return size === 8 ? view.getBigUint64(0, littleEndian) : BigInt(view.getUint16(0, littleEndian));
}

/** Where the flow of a `struct xgw_flow_key` belongs: flow_hash() and what is made of it. */
export function flowHome(key: Buffer, buckets: number, seed = 0n): { readonly bucket: number; readonly way: number } {
  let hash = fold(((word(key, 0, 8) ^ seed) * 0x9e3779b97f4a7c15n) & mask64);
  hash = ((hash ^ word(key, 8, 8)) + word(key, 16, 2) * 0xd6e8feb86659fd93n) & mask64;
  hash = fold((hash * 0xc2b2ae3d27d4eb4fn) & mask64);
  return { bucket: Number((hash / BigInt(flowWays)) % BigInt(buckets)), way: Number(hash % BigInt(flowWays)) };
}
