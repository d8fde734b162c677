/**
 * libbpf-ts on a map of a million flows, beside a C program that makes the same system calls: batch update, batch read, single
 * get and set, decoded objects, and memory at rest. Both take turns in one run; each figure is the median of the rounds.
 *
 * `node dist/bench/native/maps.js [--entries 1000000] [--rounds 5]`: one JSON object on stdout.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BpfMap, codec, TypedMap } from "libbpf-ts";
import { root } from "./root.js";

/** As large as the gateway's flow: a key of 16 bytes, a value of 48. */
const KEY_SIZE = 16;
const VALUE_SIZE = 48;
/** Elements a system call, on both sides. */
const CHUNK = 65_536;

interface Times {
  batchUpdateNs: number;
  batchReadNs: number;
  getNs: number;
  setNs: number;
  batchDeleteNs: number;
}

interface DecodedTimes {
  batchUpdateNs: number;
  batchReadNs: number;
  getNs: number;
  setNs: number;
}

interface Key {
  zone: number;
  source: number;
  destination: number;
  sourcePort: number;
  destinationPort: number;
}

interface Flow {
  packets: bigint;
  bytes: bigint;
  lastSeenNs: bigint;
  generation: number;
  encap: number;
  rewrite: Buffer;
}

const keyCodec = codec.struct<Key>(KEY_SIZE, {
  zone: [0, codec.int(4, false, "le")],
  source: [4, codec.int(4, false, "be")],
  destination: [8, codec.int(4, false, "be")],
  sourcePort: [12, codec.int(2, false, "be")],
  destinationPort: [14, codec.int(2, false, "be")],
});

const flowCodec = codec.struct<Flow>(VALUE_SIZE, {
  packets: [0, codec.int(8, false, "le")],
  bytes: [8, codec.int(8, false, "le")],
  lastSeenNs: [16, codec.int(8, false, "le")],
  generation: [24, codec.int(4, false, "le")],
  encap: [28, codec.int(4, false, "le")],
  rewrite: [32, codec.bytes(16)],
});

/** Nanoseconds that it took. */
function timed(work: () => void): number {
  const begin = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - begin);
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function createMap(entries: number): BpfMap {
  return BpfMap.create({
    type: "hash",
    name: "bench_ts",
    keySize: KEY_SIZE,
    valueSize: VALUE_SIZE,
    maxEntries: entries,
  });
}

function numbered(entries: number, size: number): Buffer {
  const bytes = Buffer.alloc(entries * size);
  for (let i = 0; i < entries; i++) bytes.writeUInt32LE(i, i * size);
  return bytes;
}

function runRaw(entries: number, keys: Buffer, values: Buffer): Times {
  using map = createMap(entries);
  const key = (i: number): Buffer => keys.subarray(i * KEY_SIZE, (i + 1) * KEY_SIZE);
  const value = (i: number): Buffer => values.subarray(i * VALUE_SIZE, (i + 1) * VALUE_SIZE);
  let seen = 0;
  const times = {
    batchUpdateNs: timed(() => map.setBatch(keys, values)),
    batchReadNs: timed(() => {
      for (const { count } of map.batches({ size: CHUNK })) seen += count;
    }),
    getNs: timed(() => {
      for (let i = 0; i < entries; i++) map.get(key(i));
    }),
    setNs: timed(() => {
      for (let i = 0; i < entries; i++) map.set(key(i), value(i));
    }),
    batchDeleteNs: timed(() => map.deleteBatch(keys)),
  };
  if (seen !== entries) throw new Error(`read ${seen} elements, wanted ${entries}`);
  return times;
}

function runDecoded(entries: number): DecodedTimes {
  using map = createMap(entries);
  const flows = new TypedMap<Key, Flow>(map, { key: keyCodec, value: flowCodec });
  const rewrite = Buffer.alloc(16);
  const key = (i: number): Key => ({ zone: i, source: 1, destination: 2, sourcePort: 3, destinationPort: 4 });
  const flow = (i: number): Flow => ({
    packets: BigInt(i),
    bytes: 0n,
    lastSeenNs: 0n,
    generation: 1,
    encap: 2,
    rewrite,
  });
  const some = Math.min(entries, 200_000);
  let packets = 0n;
  const times = {
    batchUpdateNs: timed(() => {
      for (let from = 0; from < entries; from += CHUNK) {
        const count = Math.min(CHUNK, entries - from);
        flows.setMany(Array.from({ length: count }, (_, i) => [key(from + i), flow(from + i)] as const));
      }
    }),
    batchReadNs: timed(() => {
      for (const [, value] of flows) packets += value.packets;
    }),
    getNs:
      (timed(() => {
        for (let i = 0; i < some; i++) flows.get(key(i));
      }) *
        entries) /
      some,
    setNs:
      (timed(() => {
        for (let i = 0; i < some; i++) flows.set(key(i), flow(i));
      }) *
        entries) /
      some,
  };
  if (packets !== (BigInt(entries) * BigInt(entries - 1)) / 2n)
    throw new Error("what was read is not what was written");
  return times;
}

function buildC(dir: string): string {
  const program = `${dir}/maps`;
  const libbpf = execFileSync("pkg-config", ["--libs", "--static", "libbpf"], { encoding: "utf8" }).trim().split(/\s+/);
  const source = fileURLToPath(new URL("bench/native/maps.c", root));
  execFileSync("gcc", [
    "-O2",
    "-o",
    program,
    source,
    ...libbpf.filter((flag) => flag !== "-lzlib" && flag !== "-llibelf"),
    "-lelf",
    "-lz",
  ]);
  return program;
}

/** Resident memory of a process that does this and then rests, in bytes. */
function restingBytes(code: string): number {
  const report = "globalThis.gc(); console.log(process.memoryUsage().rss);";
  const args = ["--expose-gc", "--input-type=module", "-e", `${code}\nsetTimeout(() => { ${report} }, 200);`];
  return Number(execFileSync(process.execPath, args, { cwd: fileURLToPath(root), encoding: "utf8" }));
}

function medians<T extends object>(rounds: T[]): T {
  const [first] = rounds;
  if (first === undefined) throw new Error("no rounds");
  const names = Object.keys(first) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, median(rounds.map((round) => Number(round[name])))])) as T;
}

function main(): void {
  const { values: options } = parseArgs({ options: { entries: { type: "string" }, rounds: { type: "string" } } });
  const entries = Number(options.entries ?? 1_000_000);
  const rounds = Number(options.rounds ?? 5);
  const dir = mkdtempSync(`${tmpdir()}/bench-native-`);
  try {
    const program = buildC(dir);
    const keys = numbered(entries, KEY_SIZE);
    const values = numbered(entries, VALUE_SIZE);
    const c: Times[] = [];
    const raw: Times[] = [];
    const decoded: DecodedTimes[] = [];
    for (let round = 0; round < rounds; round++) {
      const sizes = [entries, KEY_SIZE, VALUE_SIZE, CHUNK].map(String);
      c.push(JSON.parse(execFileSync(program, sizes, { encoding: "utf8" })) as Times);
      raw.push(runRaw(entries, keys, values));
      decoded.push(runDecoded(entries));
    }
    const result = {
      benchmark: "libbpf-ts maps",
      entries,
      keySize: KEY_SIZE,
      valueSize: VALUE_SIZE,
      chunk: CHUNK,
      rounds,
      c: medians(c),
      libbpfTs: medians(raw),
      decoded: medians(decoded),
    };
    const perSecond = (ns: number): number => Math.round((entries * 1e9) / ns);
    const ratio = (name: keyof Times): number => Number((result.libbpfTs[name] / result.c[name]).toFixed(3));
    const bare = restingBytes("");
    process.stdout.write(
      `${JSON.stringify(
        {
          ...result,
          /** Times what C needs. The aim is at most 2 for the batches. */
          ratio: {
            batchUpdate: ratio("batchUpdateNs"),
            batchRead: ratio("batchReadNs"),
            batchDelete: ratio("batchDeleteNs"),
            get: ratio("getNs"),
            set: ratio("setNs"),
          },
          perSecond: {
            batchUpdate: perSecond(result.libbpfTs.batchUpdateNs),
            batchRead: perSecond(result.libbpfTs.batchReadNs),
            get: perSecond(result.libbpfTs.getNs),
            set: perSecond(result.libbpfTs.setNs),
            decodedBatchUpdate: perSecond(result.decoded.batchUpdateNs),
            decodedBatchRead: perSecond(result.decoded.batchReadNs),
            decodedGet: perSecond(result.decoded.getNs),
            decodedSet: perSecond(result.decoded.setNs),
          },
          restingBytes: {
            node: bare,
            withLibbpfTs: restingBytes('await import("libbpf-ts");') - bare,
            withVmlinuxBtf: restingBytes('const { Btf } = await import("libbpf-ts"); Btf.vmlinux();') - bare,
          },
        },
        undefined,
        2,
      )}\n`,
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
}

main();
