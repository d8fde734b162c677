// Which notifications of the kernel make the daemon look, in the words of `ip monitor` and `nft monitor`.
import { describe, expect, it } from "vitest";
import { Interest, type Notice } from "../../../src/daemon/interest.js";
import { desiredOf, exampleText, thirdTenant } from "../plan/fixture.js";

const desired = await desiredOf((await exampleText()) + thirdTenant);
const neighbours = () =>
  new Map([
    ["eth0 172.168.0.11", "02:00:00:00:00:01"],
    ["eth0 172.168.0.99", "02:00:00:00:00:09"],
    ["xgre2000 10.0.0.7", "02:00:00:00:00:07"],
  ]);
const interest = () => new Interest(desired, 201, neighbours());
const redecide = (tenants: number[], why: string): Notice => ({ redecide: { tenants, why } });

const ipLines: readonly (readonly [what: string, line: string, notice: Notice])[] = [
  [
    "a tunnel that has gone",
    "[LINK]Deleted 7: xgre1000@NONE: <BROADCAST,MULTICAST> mtu 1458 qdisc noop state DOWN",
    { check: "device xgre1000" },
  ],
  ["the NIC going down", "[LINK]2: eth0@if9: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue", { check: "device eth0" }],
  ["somebody else's device", "[LINK]9: dummy0: <BROADCAST> mtu 1500 qdisc noop state DOWN", {}],
  [
    "an address of a tunnel",
    "[ADDR]Deleted 7: xgre1000    inet 10.0.0.1/24 scope global",
    { check: "address xgre1000" },
  ],
  ["an IPv6 address", "[ADDR]7: xgre1000    inet6 fe80::1/64 scope link", {}],
  [
    "a route of ours",
    "[ROUTE]Deleted 10.0.0.7  encap ip id 1000 src 0.0.0.0 dst 172.168.0.11 ttl 0 tos 0 key dev xgre1000 table 100001 proto 201 scope link",
    { check: "route" },
  ],
  ["a route of another table", "[ROUTE]10.9.0.0/16 via 10.1.0.5 dev d0 table 77", {}],
  [
    "an underlay route to one tunnel's end",
    "[ROUTE]Deleted 172.168.0.12 via 172.168.0.99 dev eth0",
    redecide([2], "underlay route 172.168.0.12"),
  ],
  [
    "an underlay route to all",
    "[ROUTE]172.168.0.0/24 dev eth0 proto kernel",
    redecide([1, 2, 3], "underlay route 172.168.0.0/24"),
  ],
  ["the default route", "[ROUTE]default via 172.168.0.99 dev eth0", redecide([1, 2, 3], "underlay route default")],
  ["a route to nobody", "[ROUTE]192.0.2.0/24 via 172.168.0.99 dev eth0", {}],
  ["an IPv6 route", "[ROUTE]fe80::/64 dev eth0 proto kernel metric 256 pref medium", {}],
  [
    "a tunnel's end with another MAC",
    "[NEIGH]172.168.0.11 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE",
    redecide([1], "neighbour 172.168.0.11 on eth0"),
  ],
  ["the same MAC in another state", "[NEIGH]172.168.0.11 dev eth0 lladdr 02:00:00:00:00:01 STALE", {}],
  [
    "a router with another MAC",
    "[NEIGH]172.168.0.99 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE",
    redecide([1, 2, 3], "neighbour 172.168.0.99 on eth0"),
  ],
  ["a new neighbour", "[NEIGH]172.168.0.55 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE", {}],
  [
    "a neighbour inside a tunnel",
    "[NEIGH]10.0.0.7 dev xgre2000 lladdr 02:00:00:00:00:02 PERMANENT",
    redecide([2], "neighbour 10.0.0.7 on xgre2000"),
  ],
  ["a neighbour that fails", "[NEIGH]172.168.0.11 dev eth0 FAILED", {}],
  [
    "a neighbour of ours that is deleted",
    "[NEIGH]Deleted 172.168.0.13 dev xgre3000 FAILED",
    { check: "neighbour on xgre3000" },
  ],
  ["a neighbour that is forgotten", "[NEIGH]Deleted 10.0.0.7 dev xgre2000 FAILED", {}],
  ["the rule of the VRFs", "[RULE]Deleted 1000:\tfrom all lookup [l3mdev-table]", { check: "rule l3mdev" }],
  ["another rule", "[RULE]1234:\tfrom 9.9.9.9 lookup main", {}],
];

describe("ip monitor", () => {
  for (const [what, line, notice] of ipLines) it(what, () => expect(interest().ofIp(line)).toEqual(notice));

  it("a MAC that comes back after the neighbour was forgotten is compared with the last one known", () => {
    const one = interest();
    one.ofIp("[NEIGH]Deleted 172.168.0.11 dev eth0 FAILED");
    expect(one.ofIp("[NEIGH]172.168.0.11 dev eth0 lladdr 02:00:00:00:00:03 REACHABLE").redecide?.tenants).toEqual([1]);
  });
});

describe("nft monitor", () => {
  const lines: readonly (readonly [line: string, notice: Notice])[] = [
    ["delete element ip xgw_gw1 dnat_to { 1 . 2.2.2.11 : 10.0.0.7 }", { check: "nft element" }],
    ["delete table ip xgw_gw1", { check: "nft table" }],
    ["add rule ip xgw_gw1 forward accept", { check: "nft rule" }],
    ["delete table ip xgw_gw11", {}],
    ["delete table inet xgw_gw1", {}],
    ["# new generation 4 by process 9635 (nft)", {}],
  ];
  for (const [line, notice] of lines) it(line, () => expect(interest().ofNft(line)).toEqual(notice));
});

describe("with an uplink", () => {
  const uplink = { device: "eth1.100", gateway: "203.0.113.1" };
  const known = new Map([["eth1.100 203.0.113.1", "02:00:00:00:00:01"]]);
  const watching = () => new Interest({ ...desired, uplink }, 201, new Map(known));

  it("its device is looked at", () => {
    const line = "[LINK]4: eth1.100@eth1: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN";
    expect(watching().ofIp(line)).toEqual({ check: "device eth1.100" });
  });

  it("a gateway with another MAC address makes everybody's flows anew", () => {
    const line = "[NEIGH]203.0.113.1 dev eth1.100 lladdr 02:00:00:00:00:02 REACHABLE";
    expect(watching().ofIp(line)).toEqual(redecide([1, 2, 3], "neighbour 203.0.113.1 on eth1.100"));
  });
});
