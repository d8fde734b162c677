import { describe, expect, it } from "vitest";
import { listLines, reportLines } from "../../../src/cli/tenant-lines.js";
import { noTiers } from "../../../src/datapath/accounting.js";
import { noLosses } from "../../../src/datapath/shares.js";
import type { TenantReport } from "../../../src/tenant/schema.js";

const many = { packets: 123_456_789_012, bytes: 99_999_999_999_999 };
const none = { packets: 0, bytes: 0 };
const denied = { xdp: none, nft: none };

const quiet: TenantReport = {
  ...{ instance: "gw1", name: "user1", key: 1000, id: 1, zone: 1 },
  devices: [{ name: "xvrf1000" }, { name: "xgre1000" }],
  routes: [],
  nat: { publicIps: [], portForwards: [], sources: [] },
  policy: {
    inbound: { rules: [], unmatched: denied },
    outbound: { rules: [], unmatched: denied },
    withoutRule: noTiers,
  },
  limits: [],
  losses: noLosses,
  connections: { xdp: 0, flowtable: 0, stack: 0 },
  forwarded: noTiers,
  drops: [],
  changes: { decidedAnew: 0, isUnfinished: false },
};

const name = "allow tcp 22, 80, 443, 8000-8100, 9000-9100, 10000-10100, 11000 from 198.51.100.0/24";
const busy: TenantReport = {
  ...quiet,
  ...{ name: "a-tenant-with-a-name-that-goes-on", key: 4_294_967_295, id: 8191, zone: 8191 },
  place: { file: "/etc/xgw/tenants.d/a-tenant-with-a-name-that-goes-on.yaml", line: 1 },
  routes: [
    { to: "198.51.100.128/25", via: "203.0.113.254", device: "xgre4294967295", isInKernel: true, isInConfig: false },
  ],
  nat: {
    publicIps: [{ address: "203.0.113.254", to: "198.51.100.254", isInKernel: false, isInConfig: true }],
    portForwards: [
      {
        ...{ address: "203.0.113.254", protocol: "tcp", port: { from: 50_000, to: 50_099 }, to: "198.51.100.254" },
        ...{ toPort: 60_000, isInKernel: false, isInConfig: true },
      },
    ],
    sources: [{ from: "198.51.100.128-198.51.100.254", address: "203.0.113.254", isInKernel: false, isInConfig: true }],
  },
  policy: {
    ...quiet.policy,
    inbound: {
      rules: [{ rule: 0, name, place: { file: "xgw.yaml", line: 7 }, ...noTiers, stack: many, denied }],
      unmatched: { xdp: many, nft: many },
    },
  },
  losses: { flowsEvicted: 1, flowsRefused: 2, templatesRefused: 3, rulesRefused: 4, eventsLost: 5 },
  connections: { xdp: 123_456_789, flowtable: 123_456_789, stack: 123_456_789 },
  forwarded: { xdp: many, flowtable: many, stack: many },
  drops: [{ by: "nft", reason: "other_family", ...many }],
  changes: { decidedAnew: 2, isUnfinished: true },
};

describe("a tenant whole", () => {
  it("says of each part that there is nothing of it", () => {
    expect(reportLines(quiet)).toEqual([
      "user1: key 1000, id 1, conntrack zone 1",
      "devices",
      "  xvrf1000 is not there",
      "  xgre1000 is not there",
      "routes",
      "  none",
      "NAT",
      "  none",
      "policy, packets                                XDP FLOWTABLE     STACK    DENIED",
      "  inbound without a match                                                      0",
      "  outbound without a match                                                     0",
      "  without a rule                                 0         0         0",
      "limits  IN USE  LIMIT",
      "connections: XDP 0, flowtable 0, stack 0",
      "packets forwarded: XDP 0, flowtable 0, stack 0; 0 B",
      "drops: none",
      "changes: all flows decided anew 0 times since the maps were made",
    ]);
  });

  it("fits 80 columns with long words and great numbers", () => {
    const lines = reportLines(busy);
    expect(lines).toEqual(busyText.split("\n"));
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

const busyText = `a-tenant-with-a-name-that-goes-on: key 4294967295, id 8191, conntrack zone 8191
  (/etc/xgw/tenants.d/a-tenant-with-a-name-that-goes-on.yaml:1)
devices
  xvrf1000 is not there
  xgre1000 is not there
routes
  198.51.100.128/25 via 203.0.113.254 by xgre4294967295, not in the config
NAT
  203.0.113.254 is 198.51.100.254, both ways, not in the kernel
  tcp 203.0.113.254:50000-50099 to 198.51.100.254:60000-60099, not in the kernel
  198.51.100.128-198.51.100.254 leave as 203.0.113.254, not in the kernel
policy, packets                                XDP FLOWTABLE     STACK    DENIED
  inbound:0 allow tcp 22, 80, 443, 8000-8100, 9000-9100, 10000-10100, 11000 from
    198.51.100.0/24
                                                 0         0     123 G         0
    xgw.yaml:7
  inbound without a match                                                  247 G
  outbound without a match                                                     0
  without a rule                                 0         0         0
limits  IN USE  LIMIT
  flows that gave way: 1
  flows that found no place: 2
  templates that found no place: 3
  rules that found no counter: 4
  events that were lost: 5
connections: XDP 123456789, flowtable 123456789, stack 123456789
packets forwarded: XDP 123 G, flowtable 123 G, stack 123 G; 300 TB
drops
  nft  other_family                123 G packets     100 TB
changes: all flows decided anew 2 times since the maps were made
  a change goes on, or has not come to its end: see xgw plan`;

describe("all tenants", () => {
  it("fit 80 columns with the largest key, and without devices", () => {
    const devices = [{ name: "xvrf4294967295" }, { name: "xgre4294967295" }];
    const row = {
      name: "user1",
      key: 4_294_967_295,
      devices,
      sessions: 100_000,
      sessionsLimit: 100_000,
      flows: 524_288,
    };
    expect(listLines([row])).toEqual([
      "TENANT  DEVICES                             KEY  MTU  SESSIONS/LIMIT   FLOWS",
      "user1   VRF missing, tunnel missing  4294967295    -   100000/100000  524288",
    ]);
  });
});
