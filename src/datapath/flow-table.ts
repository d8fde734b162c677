/** The flow table as bytes: the TypeScript side of bpf/lib/flow_table.h. */

/** XGW_FLOW_WAYS: flows in a bucket. */
export const flowWays = 32;
/** sizeof(struct xgw_flow) */
export const flowBytes = 64;
export const bucketBytes = flowWays * flowBytes;
/** Offsets in struct xgw_flow. */
export const flowOffsets = { protocol: 16, reach: 19, sequence: 20, tenant: 22, generation: 24, encap: 46 } as const;
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

const mask64 = 0xffff_ffff_ffff_ffffn;
const fold = (hash: bigint) => hash ^ (hash >> 32n);

function word(bytes: Buffer, offset: number, size: 2 | 8): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, size);
  return size === 8 ? view.getBigUint64(0, littleEndian) : BigInt(view.getUint16(0, littleEndian));
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Where the flow of a `struct xgw_flow_key` belongs: flow_hash() and what is made of it. */
export function flowHome(key: Buffer, buckets: number, seed = 0n): { readonly bucket: number; readonly way: number } {
  let hash = fold(((word(key, 0, 8) ^ seed) * 0x9e3779b97f4a7c15n) & mask64);
  hash = ((hash ^ word(key, 8, 8)) + word(key, 16, 2) * 0xd6e8feb86659fd93n) & mask64;
  hash = fold((hash * 0xc2b2ae3d27d4eb4fn) & mask64);
  return { bucket: Number((hash / BigInt(flowWays)) % BigInt(buckets)), way: Number(hash % BigInt(flowWays)) };
}
