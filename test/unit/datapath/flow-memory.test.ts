// The flow table in memory: where the look-up of this side finds what the programs' has put.
import { randomBytes } from "node:crypto";
import type { BpfMap } from "libbpf-ts";
import { expect, it } from "vitest";
import { FlowMemory } from "../../../src/datapath/flow-memory.js";
import { bucketBytes, flowHome } from "../../../src/datapath/flow-table.js";
import { littleEndian } from "../../../src/datapath/layout.js";

/** A map of so many buckets, of which nothing is used but its size. */
const mapOf = (maxEntries: number) =>
  ({ maxEntries, memory: () => new ArrayBuffer(maxEntries * bucketBytes) }) as unknown as BpfMap;

it.each([1, 64, 65_536])("a key's home in %i buckets is the one that the hash of 64 bits has", (buckets) => {
  const seed = randomBytes(8);
  const memory = new FlowMemory(mapOf(buckets), seed);
  const seedNumber = littleEndian ? seed.readBigUInt64LE() : seed.readBigUInt64BE();
  for (let n = 0; n < 2000; n++) {
    const key = randomBytes(20);
    const words = new Uint32Array(new Uint8Array(key).buffer);
    const [saddr = 0, daddr = 0, ports = 0, realm = 0] = words;
    const kind = new Uint16Array(words.buffer)[8] ?? 0;
    expect(memory.home({ saddr, daddr, ports, realm, kind })).toEqual(flowHome(key, buckets, seedNumber));
  }
});
