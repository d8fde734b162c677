/** Orders for bpf/test/flow-table.bpf.c, carried out here or on several CPUs at once. */
import { mkdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { type BpfMap, BpfObject, type Btf } from "libbpf-ts";
import { bucketBytes, flowBytes, flowHome, flowOffsets, flowWays } from "../../../src/datapath/flow-table.js";
import { u32 } from "../../../src/datapath/layout.js";
import { objectFile } from "./datapath.js";
import { startWorker } from "./worker.js";

const orderNames = ["insert", "delete", "lookUp", "churn"] as const;
const runner = fileURLToPath(new URL("run-pinned.mjs", import.meta.url));
const ordersBytes = 64;

export interface Orders {
  readonly order: (typeof orderNames)[number];
  readonly first?: number;
  readonly flows: number;
  readonly version?: number;
  readonly tenant?: number;
  readonly age?: number;
  readonly random?: bigint;
}

export interface Outcome {
  readonly inserted: number;
  readonly refused: number;
  readonly deleted: number;
  readonly found: number;
  readonly missed: number;
  readonly torn: number;
}

function encode({ order, first = 0, flows, version = 1, tenant = 1, age = 0, random = 1n }: Orders): Buffer {
  const bytes = Buffer.alloc(ordersBytes);
  bytes.writeBigUInt64LE(random, 0);
  for (const [n, value] of [orderNames.indexOf(order), first, flows, 0, version].entries())
    bytes.writeUInt32LE(value, 8 + 4 * n);
  bytes.writeUInt16LE(tenant, 28);
  bytes.writeUInt32LE(age >>> 0, 32);
  return bytes;
}

function decode(bytes: Buffer): Outcome {
  const [inserted = 0, refused = 0, deleted = 0, found = 0, missed = 0, torn = 0] = Array.from({ length: 6 }, (_, n) =>
    bytes.readUInt32LE(36 + 4 * n),
  );
  return { inserted, refused, deleted, found, missed, torn };
}

/** What the settings say. */
export const tcpTimeoutJiffies = 432_000_000;
const udpTimeoutJiffies = 120_000;

/** For names of pins. */
let made = 0;

export class FlowWorkers implements Disposable {
  readonly #object: BpfObject;
  readonly #pins: string;
  readonly table: BpfMap;
  readonly btf: Btf;

  constructor(buckets: number) {
    this.#object = BpfObject.open(objectFile("test-flow-table.bpf.o"));
    this.#object.setVariable("flow_buckets", u32(buckets)).resizeMap("flows", buckets).load();
    this.#object.map("settings").set(u32(0), u32(0, 0, tcpTimeoutJiffies, udpTimeoutJiffies, 0, 0, 0, 0, 0));
    this.table = this.#object.map("flows");
    this.btf = this.#object.btf as Btf;
    this.#pins = `/sys/fs/bpf/xgw-test-${process.pid}-${++made}`;
    mkdirSync(this.#pins);
    this.#object.program("flow_table").pin(`${this.#pins}/program`);
  }

  /** On this CPU: as often as there are flows, or as said. */
  run(orders: Orders, repeat = orders.flows): Outcome {
    return decode(this.#object.program("flow_table").testRun({ data: encode(orders), repeat }).data);
  }

  /** All at once, each in a process on a CPU of its own as far as there are any. */
  async runAtOnce(all: readonly Orders[], repeat: number, times = 1): Promise<Outcome[]> {
    const runs = all.map((orders, n) => {
      const node = [process.execPath, runner, `${this.#pins}/program`, encode(orders).toString("hex")];
      return startWorker("taskset", ["-c", String(n % cpus().length), ...node, String(repeat), String(times)]);
    });
    await Promise.all(runs.map(({ ready }) => ready));
    for (const { go } of runs) go();
    return Promise.all(runs.map(async ({ output }) => decode(Buffer.from(await output, "hex"))));
  }

  /** How many lines a tenant may have and keep; 0: no limit. Tenant 0 stands for all that have no number. */
  setShare(tenant: number, flows: number): void {
    const map = this.#object.map("limits");
    const value = Buffer.alloc(map.valueSize);
    value.writeUInt32LE(flows, 8);
    map.set(u32(tenant), value);
  }

  /** What is counted for a tenant. */
  usage(tenant: number): { readonly lines: number; readonly evicted: number; readonly refused: number } {
    const read = (map: string, at: number) => Number(this.#object.map(map).get(u32(tenant))?.readBigInt64LE(at));
    return { lines: read("flow_usage", 0), evicted: read("losses", 0), refused: read("losses", 8) };
  }

  /** Numbers of the flows that a tenant has in the table, in order. */
  numbersOf(tenant: number): number[] {
    const mine = [...this.#lines()].filter(({ line }) => line.readUInt16LE(flowOffsets.tenant) === tenant);
    return mine.map(({ line }) => line.readUInt32LE(0)).sort((a, b) => a - b);
  }

  setGeneration(tenant: number, generation: number): void {
    this.#object.map("generations").set(u32(tenant), u32(generation));
  }

  /** Numbers of the flows in the table, in no order; each as often as it is there. */
  numbers(): number[] {
    return [...this.#lines()].map(({ line }) => line.readUInt32LE(0));
  }

  /** What is wrong with the table when nobody writes. */
  faults(): string[] {
    const faults: string[] = [];
    const seen = new Set<number>();
    const linesOf = new Map<number, number>();
    for (const { line, lines, bucket, way } of this.#lines()) {
      const number = line.readUInt32LE(0);
      const home = flowHome(line, this.table.maxEntries);
      const reach = lines[home.way * flowBytes + flowOffsets.reach] ?? 0;
      if (seen.has(number)) faults.push(`flow ${number} is there twice`);
      if (home.bucket !== bucket) faults.push(`flow ${number} is in bucket ${bucket}, not ${home.bucket}`);
      if ((home.way ^ way) > reach) faults.push(`flow ${number} is out of its home's reach`);
      if (line.readUInt16LE(flowOffsets.sequence) % 2 !== 0) faults.push(`flow ${number} is being written`);
      seen.add(number);
      const tenant = line.readUInt16LE(flowOffsets.tenant);
      linesOf.set(tenant, (linesOf.get(tenant) ?? 0) + 1);
    }
    for (let tenant = 0; tenant < 8; tenant++) {
      const [counted, there] = [this.usage(tenant).lines, linesOf.get(tenant) ?? 0];
      if (counted !== there) faults.push(`tenant ${tenant} has ${there} lines, and ${counted} are counted`);
    }
    return faults;
  }

  /** Sum of how far readers have to look, over all homes. */
  reaches(): number {
    let sum = 0;
    for (const [, lines] of this.table.entries())
      for (let at = 0; at < bucketBytes; at += flowBytes) sum += lines[at + flowOffsets.reach] ?? 0;
    return sum;
  }

  clear(): void {
    for (const [bucket] of this.table.entries()) this.table.set(bucket, Buffer.alloc(bucketBytes));
    for (let tenant = 0; tenant < 8; tenant++) {
      this.setShare(tenant, 0);
      for (const name of ["flow_usage", "losses"]) {
        const map = this.#object.map(name);
        map.set(u32(tenant), Buffer.alloc(map.valueSize));
      }
    }
  }

  *#lines(): Generator<{ line: Buffer; lines: Buffer; bucket: number; way: number }> {
    for (const [index, lines] of this.table.entries())
      for (let way = 0; way < flowWays; way++) {
        const line = lines.subarray(way * flowBytes, (way + 1) * flowBytes);
        if (line[flowOffsets.protocol] !== 0) yield { line, lines, bucket: index.readUInt32LE(0), way };
      }
  }

  [Symbol.dispose](): void {
    rmSync(this.#pins, { recursive: true, force: true });
    this.#object.close();
  }
}
