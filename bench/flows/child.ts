/**
 * What it costs to look at a full flow table: a process of its own, in a network namespace of its own, so that its memory can
 * be told. `unshare --net node dist/bench/flows/child.js LINES`: one JSON object on stdout (see Costs).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { FlowView } from "../../src/datapath/flow-view.js";
import { type Filter, lineTest } from "../../src/flow/filter.js";
import { listFlows, type Sort } from "../../src/flow/list.js";
import { FlowTop } from "../../src/flow/top.js";
import { FullTable, tenant } from "./table.js";

export interface ListCost {
  /** Shown. */
  readonly rows: number;
  /** Weight of the first and of the last row: packets. */
  readonly first: number;
  readonly last: number;
  readonly matched: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The most that there was beyond what there was before, without the table's own memory, which is the kernel's: MiB. */
  readonly extraMib: number;
}

export interface Costs {
  /** In use, of twice as many places. */
  readonly lines: number;
  readonly fillSeconds: number;
  readonly filtered: ListCost;
  readonly all: ListCost;
  /** CPU milliseconds of one look. */
  readonly topAtRestMs: number;
  readonly topAllActiveMs: number;
  readonly topExtraMib: number;
  readonly topRows: number;
}

const lines = Number(process.argv[2]);
const looks = 15;

function memoryMib(name: "VmRSS" | "VmHWM"): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) / 1024;
}

/** How much more memory the work has had than there was before. */
function withMemory<T>(work: () => T): { readonly result: T; readonly extraMib: number } {
  globalThis.gc?.();
  writeFileSync("/proc/self/clear_refs", "5"); // what the most was is forgotten
  const before = memoryMib("VmRSS");
  const result = work();
  return { result, extraMib: Math.max(0, memoryMib("VmHWM") - before) };
}

function list(view: FlowView, filter: Filter, sort: Sort, limit: number): ListCost {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const { result, extraMib } = withMemory(() => {
    let rows = 0;
    const packets: number[] = [];
    const listing = listFlows({ view, tenants: [tenant], filter, sort, limit });
    let next = listing.next();
    for (; !next.done; next = listing.next()) {
      const text = JSON.stringify(next.value); // as the command does
      if (rows++ < limit) packets.push((JSON.parse(text) as typeof next.value).counted?.original.packets ?? 0);
    }
    return { rows, matched: next.value, first: packets[0] ?? 0, last: packets.at(-1) ?? 0 };
  });
  const { user, system } = process.cpuUsage(cpu);
  return { ...result, seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6, extraMib };
}

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

function topCost(
  view: FlowView,
  table: FullTable,
): Pick<Costs, "topAtRestMs" | "topAllActiveMs" | "topExtraMib" | "topRows"> {
  let rows = 0;
  const { result: top, extraMib } = withMemory(() => {
    const flows = new FlowTop(view, { by: "bytes", limit: 20, tenants: [tenant], isMeant: lineTest({}, view) });
    flows.look();
    return flows;
  });
  const look = () => {
    const cpu = process.cpuUsage();
    rows = top.look().flows.length;
    const { user, system } = process.cpuUsage(cpu);
    return (user + system) / 1000;
  };
  for (let n = 0; n < looks; n++) look(); // as after some intervals, compiled
  const atRest = Array.from({ length: looks }, look);
  const active = Array.from({ length: looks }, () => {
    table.countOne();
    return look();
  });
  return { topAtRestMs: median(atRest), topAllActiveMs: median(active), topExtraMib: extraMib, topRows: rows };
}

using table = new FullTable(`bench${process.pid}`, lines);
const started = performance.now();
table.fill(lines / 2);
const fillSeconds = (performance.now() - started) / 1000;
using view = new FlowView(table.pins);
const meant: Filter = { tier: "xdp", port: 22, network: { address: 0x0100_0000, length: 8 } };
const costs: Costs = {
  lines,
  fillSeconds,
  filtered: list(view, meant, "packets", 20),
  all: list(view, { tier: "xdp" }, "none", 0),
  ...topCost(view, table),
};
process.stdout.write(`${JSON.stringify(costs)}\n`);
