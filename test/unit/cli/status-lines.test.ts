// What `xgw status` says, in words.
import { expect, it } from "vitest";
import { daemonLines, daemonStateLines, statusLines } from "../../../src/cli/commands/status.js";
import { DaemonRecord } from "../../../src/daemon/record.js";
import type { DaemonReport } from "../../../src/daemon-socket.js";

it("who causes so much work that it waits is named", () => {
  const record = new DaemonRecord();
  for (const tenant of ["one", "one", ""]) record.redecisionPutOff(tenant);
  record.checkPutOff();
  expect(daemonLines(record.report())[1]).toMatch(/: one 2, the underlay 1, comparisons 1$/);
});

it("nothing is said of it when nothing waited", () => {
  expect(daemonLines(new DaemonRecord().report()).length).toBe(1);
});

it("a daemon of a version that does not tell is understood", () => {
  const { putOff: _, ...older } = new DaemonRecord().report();
  expect(daemonLines(older as DaemonReport).length).toBe(1);
});

const counted = {
  ...{ instance: "gw1", nics: [{ name: "eth1", xdp: "native", unsent: 0 }], nobody: {}, refused: {}, tenants: [] },
  conntrack: { entries: 0, max: 1, earlyDrops: 0, drops: 0, insertFailures: 0 },
};

it.each([
  ["in step", { inStep: true, pending: [], warnings: [] }, "gw1: in step; XDP on eth1 (native)"],
  [
    "steps pending",
    { inStep: false, pending: ["+ a", "+ b"], warnings: [] },
    "gw1: 2 steps pending: see xgw plan; XDP on eth1 (native)",
  ],
  [
    "what is in the way, next",
    { inStep: true, pending: [], warnings: ["a rule"] },
    "gw1: in step, but something is in the way; XDP on eth1 (native)",
  ],
  ["without a config", {}, "gw1: figures of what is in force, not compared with a config; XDP on eth1 (native)"],
])("the first line says %s", (_what, more, line) => {
  const [first, next] = statusLines({ ...counted, ...more });
  expect(first).toBe(line);
  if ("warnings" in more && more.warnings.length > 0) expect(next).toBe("warning: a rule");
});

it("a NIC without XDP is not said to have it, whatever the config says", () => {
  const nic = (name: string, xdp: string) => ({ name, xdp, unsent: 0 });
  const head = (...nics: ReturnType<typeof nic>[]) => statusLines({ ...counted, nics })[0];
  expect(head()).toMatch(/; XDP on no NIC$/);
  expect(head(nic("eth1", "none"))).toMatch(/; XDP on no NIC$/);
  expect(head(nic("eth1", "native"), nic("eth2", "none"))).toMatch(/; XDP on eth1 \(native\), none on eth2$/);
  expect(head(nic("eth1", "not xgw's"))).toMatch(/; XDP on eth1 \(not xgw's\)$/);
});

it("what was found is counted next, if any of it is more than a note", () => {
  const next = (critical: number, note: number) =>
    statusLines({ ...counted, health: { critical, warning: 0, note } })[1];
  expect(next(1, 2)).toBe("health: 1 critical, 2 notes: see xgw doctor");
  expect(next(0, 2)).not.toContain("health");
});

it("a daemon that does not answer is not none", () => {
  expect(daemonStateLines({ state: "busy", holder: "process 12 (xgw run)" })).toEqual([
    "the daemon, process 12 (xgw run), is there, but does not answer within 2 s",
  ]);
  expect(daemonStateLines({ state: "none" })).toEqual(["no daemon"]);
});

it("packets that a NIC did not take are said, by NIC", () => {
  const nics = [
    { name: "eth1", xdp: "native", unsent: 0 },
    { name: "eth2", xdp: "native", unsent: 7 },
  ];
  expect(statusLines({ ...counted, nics }).filter((line) => /lost/.test(line))).toEqual([
    "7 packets lost that XDP had sent by eth2, and the NIC did not take",
  ]);
});
