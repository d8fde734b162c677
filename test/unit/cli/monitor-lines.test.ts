import { describe, expect, it } from "vitest";
import { eventLines } from "../../../src/cli/monitor-lines.js";
import type { MonitorEvent } from "../../../src/monitor/schema.js";

const time = "2026-12-01T05:17:21.123456Z";
const packet = {
  ...{ protocol: "tcp", source: "1.1.1.7", sourcePort: 40_000, destination: "2.2.2.11", destinationPort: 2222 },
};
const flow = { time, tenant: "user1", key: 1000, packet, meaning: "", arrivesBy: "gretap" } as const;
const drop = {
  kind: "drop",
  time,
  tenant: "user1",
  key: 1000,
  by: "xgw",
  reason: "policy",
  packet,
  bytes: 98,
} as const;
const place = { file: "/etc/xgw/xgw.yaml", line: 30 };
const rule = { direction: "inbound", rule: 1, name: "deny tcp 2222", place } as const;

const stories: Readonly<Record<string, readonly [event: MonitorEvent, lines: readonly string[]]>> = {
  "a drop by the policy, with the rule and its line": [
    { ...drop, rule, endpoint: "172.168.0.7", device: "eth0" },
    [
      "05:17:21.123456 user1 drop policy: tcp 1.1.1.7:40000 > 2.2.2.11:2222, from",
      "                172.168.0.7, rule inbound:1 xgw.yaml:30 (deny tcp 2222), on",
      "                eth0, 98 bytes",
    ],
  ],
  "a drop that no rule admits": [
    drop,
    [
      "05:17:21.123456 user1 drop policy: tcp 1.1.1.7:40000 > 2.2.2.11:2222, no rule",
      "                admits it, 98 bytes",
    ],
  ],
  "a drop of an unknown key, of which nothing was parsed": [
    { kind: "drop", time, key: 3000, by: "xgw", reason: "unknown_key", endpoint: "172.168.0.7", bytes: 98 },
    ["05:17:21.123456 key 3000 drop unknown_key: from 172.168.0.7, 98 bytes"],
  ],
  "a drop by the kernel": [
    { ...drop, by: "kernel", reason: "netfilter_drop", verdict: "unadmitted", device: "xvrf1000" },
    [
      "05:17:21.123456 user1 drop by kernel, netfilter_drop (unadmitted): tcp",
      "                1.1.1.7:40000 > 2.2.2.11:2222, on xvrf1000, 98 bytes",
    ],
  ],
  "a flow that is born": [
    { ...flow, kind: "flow_born", reason: "learned" },
    ["05:17:21.123456 user1 flow born: tcp 1.1.1.7:40000 > 2.2.2.11:2222, gretap"],
  ],
  "a flow that is decided anew": [
    { ...flow, kind: "flow_redecided", reason: "generation" },
    ["05:17:21.123456 user1 flow redecided (generation): tcp 1.1.1.7:40000 >", "                2.2.2.11:2222, gretap"],
  ],
  "a repair by the daemon": [
    { kind: "repair", time, what: "something was changed, and is put right", details: ["route: 2 steps"] },
    ["05:17:21.123456 daemon something was changed, and is put right: route: 2 steps"],
  ],
  "what was left out": [
    {
      ...{ kind: "left_out", time, kernelDrops: 3, eventsLost: 1 },
      drops: [{ tenant: "user1", key: 1000, reason: "quota", packets: 12_000 }],
    },
    ["05:17:21.123456 - left out: 12000 drops of user1 (quota), 3 drops by kernel, 1", "                event lost"],
  ],
};

describe("at 80 columns", () => {
  it.each(Object.entries(stories))("%s", (_name, [event, lines]) => {
    expect(eventLines(event, false)).toEqual(lines);
  });
});

it("into a file a line is a line, however long", () => {
  expect(eventLines({ ...drop, rule, device: "eth0" }, true)).toHaveLength(1);
});
