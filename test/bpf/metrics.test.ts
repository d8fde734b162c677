// A scrape of a full gateway: what is in it, and that the daemon goes on meanwhile. The maps are the real ones, filled by hand.
import { BpfMap, possibleCpus } from "libbpf-ts";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { DaemonRecord } from "../../src/daemon/record.js";
import { u32 } from "../../src/datapath/layout.js";
import { reasons } from "../../src/datapath/reasons.js";
import type { Finding } from "../../src/finding.js";
import type { Desired } from "../../src/model/desired.js";
import { noLimits } from "../../src/model/shares.js";
import { outboundMark } from "../../src/plan/rules.js";
import { documentedMetrics } from "../unit/support/documented-metrics.js";
import { datapathModules } from "./support/built.js";

const { objects, load } = datapathModules;
const metrics: typeof import("../../src/metrics.js") = await import(
  new URL("../../dist/src/metrics.js", import.meta.url).href
);
const { scanShares }: typeof import("../../src/datapath/shares.js") = await import(
  new URL("../../dist/src/datapath/shares.js", import.meta.url).href
);
const instance = `metrics${process.pid}`.slice(0, 15);
const pins = new datapathModules.pins.Pins(instance);
const constants = {
  underlayAddress: "172.168.0.1",
  netnsInode: 1,
  countsSessions: false,
  flows: 524_288,
};
const tenants = Array.from({ length: 8000 }, (_, n) => ({
  id: n + 1,
  name: `t${n + 1}`,
  limits: n === 6 ? { ...noLimits, sessions: 20 } : noLimits,
}));
const desired = { instance, tenants, shares: noLimits, nics: [{ name: "lo", xdp: "generic" }] } as unknown as Desired;
const nothing = { severity: "critical", subject: "", what: "", why: "", evidence: "", remedy: "" };
const flowsOfTenant = 64;
const loopback = 1;
const counted = reasons.findIndex(({ name }) => name === "no_flow");

const i64 = (value: number) => Buffer.from(BigInt64Array.of(BigInt(value)).buffer);

/** A value of a per-CPU map: the first CPU's counters, and 0 on the others. */
function counters(packets: number, bytes: number, size = 16, at = 0): Buffer {
  const value = Buffer.alloc(size * possibleCpus());
  value.writeBigUInt64LE(BigInt(packets), at);
  value.writeBigUInt64LE(BigInt(bytes), at + 8);
  return value;
}

beforeAll(() => {
  load.loadDatapath(pins, objects.fingerprintOf(constants), constants);
  using usage = BpfMap.openPinned(pins.map("flow_usage"));
  for (const { id } of tenants) usage.set(u32(id), i64(flowsOfTenant));
  using stats = BpfMap.openPinned(pins.map("reason_stats"));
  for (const { id } of tenants) stats.setPacked(u32(id), counters(id, 100 * id, stats.valueSize, 16 * counted), {});
  using ruleStats = BpfMap.openPinned(pins.map("rule_stats"));
  for (const { id } of tenants) ruleStats.setPacked(u32(id), counters(3, 300, 48), {});
  using denials = BpfMap.openPinned(pins.map("denials"));
  denials.setPacked(u32(7, 0), counters(5, 500), {});
  using sessions = BpfMap.openPinned(pins.map("session_events"));
  using base = BpfMap.openPinned(pins.map("session_base"));
  sessions.set(u32(7), i64(5));
  base.set(u32(7), i64(-2));
  using settled = BpfMap.openPinned(pins.map("sessions_settled"));
  settled.set(u32(0), u32(1));
  using neighbours = BpfMap.openPinned(pins.map("neighbour_counts"));
  neighbours.set(u32(8), i64(4));
  using unsent = BpfMap.openPinned(pins.map("unsent"));
  unsent.setPerCpu(
    u32(loopback),
    Array.from({ length: possibleCpus() }, () => i64(3)),
  );
  denials.setPacked(u32(7, outboundMark), counters(6, 600), {});
}, 120_000);
afterAll(() => pins.removeAll());

it("has every tenant's figures, XDP's denials among them, and lets the event loop go on while it is read", async () => {
  let [turns, reading] = [0, true];
  const turn = () => {
    if (!reading) return;
    turns++;
    setImmediate(turn);
  };
  setImmediate(turn);
  const record = new DaemonRecord();
  record.inTheWay(2);
  for (const tookMs of [20, 700, 400_000]) record.took("repair", tookMs);
  const [down, foreign] = (["device_down", "foreign_drop"] as const).map((id) => ({ ...nothing, id }));
  record.health([down, { ...down, subject: "eth1" }, { ...foreign, severity: "warning" }] as Finding[]);
  const pieces = await metrics.readMetrics(desired, record.report());
  reading = false;
  expect(turns).toBeGreaterThan(20);

  const lines = Buffer.concat(pieces as Buffer[])
    .toString()
    .split("\n");
  const single = (metric: string) => lines.find((line) => line.startsWith(`${metric} `))?.split(" ")[1];
  const of = (metric: string) => lines.filter((line) => line.startsWith(`${metric}{`));
  expect(of("xgw_flows")).toEqual(tenants.map(({ name }) => `xgw_flows{tenant="${name}"} ${flowsOfTenant}`));
  expect(of("xgw_xdp_packets_total").filter((line) => line.includes('"t'))).toEqual(
    tenants.map(({ id, name }) => `xgw_xdp_packets_total{tenant="${name}",verdict="pass",reason="no_flow"} ${id}`),
  );
  expect(of("xgw_forwarded_bytes_total").filter((line) => line.includes('"xdp"'))).toEqual(
    tenants.map(({ name }) => `xgw_forwarded_bytes_total{tenant="${name}",tier="xdp"} 300`),
  );
  expect(of("xgw_denied_packets_total")).toEqual([
    'xgw_denied_packets_total{tenant="t7",direction="inbound"} 5',
    'xgw_denied_packets_total{tenant="t7",direction="outbound"} 6',
  ]);
  expect(of("xgw_sessions").filter((line) => !line.endsWith(" 0"))).toEqual(['xgw_sessions{tenant="t7"} 3']);
  expect(of("xgw_neighbours").filter((line) => !line.endsWith(" 0"))).toEqual(['xgw_neighbours{tenant="t8"} 4']);
  for (const metric of ["xgw_sessions", "xgw_neighbours"]) expect(of(metric)).toHaveLength(tenants.length);
  expect(Number(single("xgw_conntrack_entries_max"))).toBeGreaterThan(0);
  expect(single("xgw_in_the_way")).toBe("2");
  expect(of("xgw_health_findings")).toEqual([
    'xgw_health_findings{severity="critical",id="device_down"} 2',
    'xgw_health_findings{severity="warning",id="foreign_drop"} 1',
  ]);
  expect(of("xgw_xdp_unsent_packets_total")).toEqual([`xgw_xdp_unsent_packets_total{nic="lo"} ${3 * possibleCpus()}`]);
  expect(of("xgw_generation")).toHaveLength(tenants.length);
  expect(of("xgw_sessions_limit")).toEqual(['xgw_sessions_limit{tenant="t7"} 20']);
  expect(of("xgw_table_used")).toContain(`xgw_table_used{table="flows"} ${tenants.length * flowsOfTenant}`);
  expect(of("xgw_table_capacity")).toEqual([
    `xgw_table_capacity{table="flows"} ${2 * constants.flows}`,
    'xgw_table_capacity{table="templates"} 65536',
    'xgw_table_capacity{table="rules"} 24576',
  ]);
  expect(of("xgw_nic_up")).toEqual(['xgw_nic_up{nic="lo"} 1']);
  expect(of("xgw_nic_xdp_attached")).toEqual(['xgw_nic_xdp_attached{nic="lo",mode="generic"} 0']);
  expect(of("xgw_build_info")).toEqual([expect.stringMatching(/^xgw_build_info\{version="\d+\.\d+\.\d+"\} 1$/)]);
  const repairs = of("xgw_work_duration_seconds_bucket").filter((line) => line.includes('"repair"'));
  expect(repairs.map((line) => line.split(" ")[1])).toEqual(["0", "1", "1", "1", ...Array(7).fill("2"), "3"]);
});

it("has the metrics that docs/daemon.md has, with their labels, and no other", async () => {
  const text = Buffer.concat((await metrics.readMetrics(desired, new DaemonRecord().report())) as Buffer[]).toString();
  const families = [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = ""]) => name);
  const documented = documentedMetrics();
  expect(families.sort()).toEqual([...documented.keys()].sort());
  const wrong = families.filter((name) => {
    const [, labels] = new RegExp(`^${name}(?:_bucket)?\\{(.*)\\} `, "m").exec(text) ?? [];
    const found = [...(labels ?? "").matchAll(/(\w+)="/g)].map(([, label]) => label);
    return labels !== undefined && found.join() !== documented.get(name)?.join();
  });
  expect(wrong).toEqual([]);
});

it("reads no line of the flow table: a scrape costs the same however many there are", async () => {
  const [batches, batch, get] = [BpfMap.prototype.batches, BpfMap.prototype.getBatch, BpfMap.prototype.get];
  const read = new Set<string>();
  vi.spyOn(BpfMap.prototype, "batches").mockImplementation(function (this: BpfMap, ...args) {
    read.add(this.info.name);
    return batches.apply(this, args);
  });
  vi.spyOn(BpfMap.prototype, "getBatch").mockImplementation(function (this: BpfMap, ...args) {
    read.add(this.info.name);
    return batch.apply(this, args);
  });
  vi.spyOn(BpfMap.prototype, "get").mockImplementation(function (this: BpfMap, ...args) {
    read.add(this.info.name);
    return get.apply(this, args);
  });
  try {
    await metrics.readMetrics(desired, new DaemonRecord().report());
  } finally {
    vi.restoreAllMocks();
  }
  expect([...read]).toEqual(expect.arrayContaining(["flow_usage", "losses"]));
  expect([...read].filter((name) => ["flows", "encaps", "conntrack"].includes(name))).toEqual([]);
});

it("reads the shares of 64 tenants at most between two pauses", () => {
  const reading = scanShares(pins, desired.tenants, noLimits);
  let pauses = 0;
  while (!reading.next().done) pauses++;
  expect(pauses).toBe(tenants.length / 64);
});
