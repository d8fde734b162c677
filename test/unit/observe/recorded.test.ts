// What the kernel says of an instance without a config.
import { expect, it } from "vitest";
import type { Link } from "../../../src/kernel/rtnetlink.js";
import { recordedInstances, tenantsOf } from "../../../src/observe/recorded.js";

const link = (ifindex: number, name: string, alias: string | undefined, rest: Partial<Link> = {}): Link => ({
  ...{ ifindex, name, alias, isUp: true, mtu: 1500, group: 0 },
  ...rest,
});
const tunnel = (key: number) => ({ kind: "gre", tunnel: { local: "172.168.0.1", inputKey: key, outputKey: key } });
const links = [
  link(1, "eth0", undefined),
  link(2, "xvrf1000", "xgw/gw1/user1", { kind: "vrf", vrf: { routeTable: 100_002 } }),
  link(3, "xgre1000", "xgw/gw1/user1", { ...tunnel(1000), master: "xvrf1000" }),
  link(4, "xvrf2000", "xgw/gw1/user2", { kind: "vrf", vrf: { routeTable: 100_001 } }),
  link(5, "xgre2000", "xgw/gw1/user2", { ...tunnel(2000), master: "xvrf2000" }),
  link(6, "xvrf3000", "xgw/gw10/user3", { kind: "vrf", vrf: { routeTable: 100_003 } }),
  link(7, "xgre3000", "xgw/gw10/user3", { ...tunnel(3000), master: "xvrf3000" }),
  link(8, "xgre4000", "xgw/gw1/half-made", tunnel(4000)),
];

it("tenants are those whose tunnels and VRFs are there, by their ids", () => {
  expect(tenantsOf("gw1", links)).toEqual([
    { name: "user2", key: 2000, id: 1, vrf: "xvrf2000", tunnel: "xgre2000" },
    { name: "user1", key: 1000, id: 2, vrf: "xvrf1000", tunnel: "xgre1000" },
  ]);
});

it("instances are those that devices name, once each", () => {
  expect(recordedInstances(links)).toEqual(["gw1", "gw10"]);
});
