import { expect, it } from "vitest";
import { commentOf, eventLines, leftOutLines } from "../../../src/cli/monitor-lines.js";
import type { Happened } from "../../../src/monitor/schema.js";

const drop: Happened = {
  time: "2026-12-01T05:00:01.123456Z",
  kind: "drop",
  reason: "policy",
  tenant: "user1",
  key: 1000,
  protocol: "tcp",
  source: "10.0.0.7",
  sourcePort: 40_000,
  destination: "8.8.8.8",
  destinationPort: 25,
  peer: "172.168.0.11",
  rule: { direction: "outbound", rule: 1, name: "deny tcp 25", place: { file: "xgw.yaml", line: 42 } },
  bytes: 110,
};
const { rule: _, peer: __, bytes: ___, ...bare } = drop;

it("a drop by a rule names its place in the config, in 80 columns", () => {
  expect(eventLines(drop)).toEqual([
    "05:00:01.123456 user1 drop policy: tcp 10.0.0.7:40000 > 8.8.8.8:25, from",
    "    172.168.0.11, rule outbound:1 at xgw.yaml:42 (deny tcp 25), 110 bytes",
  ]);
});

it("a drop by the policy without a rule says that none matched", () => {
  expect(eventLines(bare)).toEqual([
    "05:00:01.123456 user1 drop policy: tcp 10.0.0.7:40000 > 8.8.8.8:25, no rule",
    "    matched",
  ]);
});

it("a drop by the kernel bears the kernel's reason", () => {
  expect(eventLines({ ...bare, kind: "kernel_drop", reason: "ip_rpfilter" })).toEqual([
    "05:00:01.123456 user1 drop by the kernel ip_rpfilter: tcp 10.0.0.7:40000 >",
    "    8.8.8.8:25",
  ]);
});

it("a flow that is born says where it leads to", () => {
  expect(eventLines({ ...bare, kind: "flow_born", reason: "no_flow", peer: "172.168.0.12" })).toEqual([
    "05:00:01.123456 user1 flow born: tcp 10.0.0.7:40000 > 8.8.8.8:25, to",
    "    172.168.0.12",
  ]);
});

it("what was left out is said with the reason", () => {
  const leftOut = { time: drop.time, kind: "left_out", overShare: 12, full: 3 } as const;
  expect(leftOutLines(leftOut).join("\n")).toBe(
    "05:00:01.123456 left out: 12 over a tenant's share of events, 3 because this\n    monitor was too slow",
  );
});

it("a packet's comment has reason, tenant and rule", () => {
  expect(commentOf(drop)).toBe("xgw drop policy, tenant user1, rule outbound:1 at xgw.yaml:42 (deny tcp 25)");
});
