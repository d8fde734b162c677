// Which notifications of the kernel make the daemon look.
import { describe, expect, it } from "vitest";
import { Interest, type Notice } from "../../../src/daemon/interest.js";
import { NeighbourMemory } from "../../../src/daemon/neighbour-memory.js";
import type { Cause } from "../../../src/daemon/redecisions.js";
import type { KernelEvent } from "../../../src/kernel/monitor.js";
import { parsePrefix } from "../../../src/model/ipv4.js";
import { desiredOf, exampleText, thirdTenant } from "../plan/fixture.js";

const desired = await desiredOf((await exampleText()) + thirdTenant);
/** One that knows these. */
function knowing(...known: readonly (readonly [device: string, address: string, linkAddress: string])[]) {
  const memory = new NeighbourMemory();
  for (const [on, address, linkAddress] of known) memory.learn(on, address, linkAddress);
  return memory;
}
const neighbours = () =>
  knowing(
    ["eth0", "172.168.0.11", "02:00:00:00:00:01"],
    ["eth0", "172.168.0.99", "02:00:00:00:00:09"],
    ["xgre2000", "10.0.0.7", "02:00:00:00:00:07"],
  );
const interest = () => new Interest(desired, 201, neighbours());
const redecide = (by: Cause, tenants: number[], why: string): Notice => ({ redecide: { by, tenants, why } });
const underlayRoute = (tenants: number[], to: string) =>
  redecide(`underlay route ${to}`, tenants, `underlay route ${to}`);

const device = (name: string): KernelEvent & { of: "device" } => ({ of: "device", name });

function route(to: string, by: { protocol?: number; routeTable?: number } = {}): KernelEvent {
  const prefix = parsePrefix(to);
  if (!prefix) throw new Error(`${to} is no prefix`);
  return { of: "route", protocol: 3, routeTable: 254, to: prefix, ...by };
}

function neighbour(on: string, address: string, linkAddress?: string): KernelEvent {
  return { of: "neighbour", device: on, address, linkAddress, isPermanent: false, isGone: false };
}

const forgotten = (on: string, address: string): KernelEvent => ({
  of: "neighbour",
  device: on,
  address,
  linkAddress: undefined,
  isPermanent: false,
  isGone: true,
});

/** The one on a tunnel by which the tenant's packets find their endpoint, as xgw makes it but for this. */
const ours = (but: Partial<KernelEvent & { of: "neighbour" }>): KernelEvent => ({
  of: "neighbour",
  device: "xgre3000",
  address: "172.168.0.13",
  linkAddress: "172.168.0.13",
  isPermanent: true,
  isGone: false,
  ...but,
});

const nft = (what: string, table: string): KernelEvent => ({ of: "nft", what, table });

const changed = (set: string, ...elements: (readonly [key: string, value: string])[]): KernelEvent => ({
  of: "nft",
  what: "element",
  table: "xgw_gw1",
  changed: { set, elements: elements.map(([key, value]) => ({ key, value })) },
});

const inFlowtable = (...devices: string[]): KernelEvent => ({
  of: "nft",
  what: "flowtable",
  table: "xgw_gw1",
  devices,
});

/** A look at these tenants, and at these elements of a set of the nft table. */
const look = (check: string, tenants: readonly number[], set?: string, ...keys: string[]): Notice => ({
  check,
  scope: { tenants: new Set(tenants), elements: new Map(set === undefined ? [] : [[set, new Set(keys)]]) },
});

const told: readonly (readonly [what: string, event: KernelEvent, notice: Notice])[] = [
  ["a tunnel", device("xgre1000"), look("device xgre1000", [1])],
  ["a VRF", device("xvrf2000"), look("device xvrf2000", [2])],
  ["a VRF that has another name now", { ...device("xvrf2000"), isRenamed: true }, { check: "device xvrf2000" }],
  ["the NIC", device("eth0"), { check: "device eth0" }],
  ["a member of a NIC that is a bond", { ...device("eth7"), masters: ["eth0"] }, { check: "device eth7 of eth0" }],
  ["a port of somebody else's bridge", { ...device("eth7"), masters: ["br0"] }, {}],
  ["a tunnel, a port of its VRF", { ...device("xgre1000"), masters: ["xvrf1000"] }, look("device xgre1000", [1])],
  ["what the NIC's driver can", { of: "xdp features", device: "eth0" }, { check: "XDP features of eth0" }],
  ["what others' drivers can", { of: "xdp features", device: "dummy0" }, {}],
  ["somebody else's device", device("dummy0"), {}],
  ["somebody else's VRF", { ...device("blue"), routeTable: 7 }, {}],
  ["somebody else's VRF with a tenant's table", { ...device("blue"), routeTable: 100002 }, { check: "device blue" }],
  ["an address of a tunnel", { of: "address", device: "xgre1000" }, look("address xgre1000", [1])],
  ["a route of ours", route("10.0.0.7/32", { protocol: 201, routeTable: 100001 }), look("route", [1])],
  ["a route of ours in nobody's table", route("10.0.0.7/32", { protocol: 201, routeTable: 77 }), { check: "route" }],
  ["a route of another table", route("10.9.0.0/16", { routeTable: 77 }), {}],
  ["an underlay route to one tunnel's end", route("172.168.0.12/32"), underlayRoute([2], "172.168.0.12")],
  ["an underlay route to all", route("172.168.0.0/24"), underlayRoute([1, 2, 3], "172.168.0.0/24")],
  ["the default route", route("0.0.0.0/0"), underlayRoute([1, 2, 3], "default")],
  ["a route to nobody", route("192.0.2.0/24"), {}],
  [
    "a tunnel's end with another MAC",
    neighbour("eth0", "172.168.0.11", "02:00:00:00:00:02"),
    redecide("neighbour 172.168.0.11 on eth0", [1], "neighbour 172.168.0.11 on eth0"),
  ],
  ["the same MAC in another state", neighbour("eth0", "172.168.0.11", "02:00:00:00:00:01"), {}],
  [
    "a router with another MAC",
    neighbour("eth0", "172.168.0.99", "02:00:00:00:00:02"),
    redecide("strangers on eth0", [1, 2, 3], "neighbour 172.168.0.99 on eth0"),
  ],
  ["a new neighbour", neighbour("eth0", "172.168.0.55", "02:00:00:00:00:02"), {}],
  [
    "a neighbour inside a tunnel",
    neighbour("xgre2000", "10.0.0.7", "02:00:00:00:00:02"),
    redecide(2, [2], "neighbour 10.0.0.7 on xgre2000"),
  ],
  ["a neighbour that fails", neighbour("eth0", "172.168.0.11"), {}],
  ["a neighbour of ours that is deleted", forgotten("xgre3000", "172.168.0.13"), look("neighbour on xgre3000", [3])],
  ["a neighbour of ours that is made again as it was", ours({}), {}],
  [
    "a neighbour of ours that fails",
    ours({ linkAddress: undefined, isPermanent: false }),
    look("neighbour on xgre3000", [3]),
  ],
  ["a neighbour of ours that may be forgotten", ours({ isPermanent: false }), look("neighbour on xgre3000", [3])],
  [
    "a neighbour of ours that is somewhere else",
    ours({ linkAddress: "172.168.0.12" }),
    look("neighbour on xgre3000", [3]),
  ],
  ["a neighbour that is forgotten", forgotten("xgre2000", "10.0.0.7"), {}],
  ["settings of a tunnel", { of: "settings", device: "xgre1000" }, look("settings of xgre1000", [1])],
  ["settings of the NIC", { of: "settings", device: "eth0" }, { check: "settings of eth0" }],
  ["settings of all devices", { of: "settings", device: "all" }, { check: "settings" }],
  ["settings of devices to come", { of: "settings", device: "default" }, {}],
  ["a routing rule", { of: "routing rule" }, { check: "ip rule" }],
  ["an element that cannot be read", nft("element", "xgw_gw1"), { check: "nft element" }],
  [
    "an element of a tenant",
    changed("dnat_to", ["2 . 2.2.2.12", "10.0.0.7"]),
    look("nft element", [2], "dnat_to", "2 . 2.2.2.12"),
  ],
  ["the zone of a tunnel", changed("zones", ["xgre1000", "1"]), look("nft element", [1], "zones", "xgre1000")],
  [
    "a policy's cells of two",
    changed("inbound0", ["1 . 6", "7"], ["3 . 6", "7"]),
    look("nft element", [1, 3], "inbound", "1 . 6", "3 . 6"),
  ],
  ["an element of nobody", changed("dnat_to", ["99 . 2.2.2.12", "10.0.0.7"]), { check: "nft element" }],
  ["elements that are not named", changed("dnat_to"), { check: "nft element" }],
  ["an element for all keys", changed("dnat_to", ["*", "10.0.0.7"]), { check: "nft element" }],
  ["a tenant's element for all keys", changed("zones", ["*", "1"]), { check: "nft element" }],
  ["an element that ends connections", changed("no_pickup", ["1", ""]), {}],
  ["an element that counts", changed("denied_inbound", ["1 . 3", ""]), {}],
  ["what leads tenants to their share", changed("inbound_shares", ["0", "to_inbound0"]), { check: "nft element" }],
  ["tunnels in a flowtable", inFlowtable("xgre1000", "xgre3000"), look("nft flowtable", [1, 3])],
  ["a flowtable that has nothing new", inFlowtable(), {}],
  ["a flowtable that has gone", nft("flowtable", "xgw_gw1"), { check: "nft flowtable" }],
  ["somebody's device in a flowtable", inFlowtable("xgre1000", "eth7"), { check: "nft flowtable" }],
  ["the table itself", nft("table", "xgw_gw1"), { check: "nft table" }],
  ["a table with a longer name", nft("table", "xgw_gw11"), { isOthersFilter: true }],
];

describe("the kernel tells of", () => {
  for (const [what, event, notice] of told) it(what, () => expect(interest().of(event)).toEqual(notice));

  it("a neighbour that fails and comes again with another MAC", () => {
    const one = interest();
    one.of(neighbour("xgre2000", "10.0.0.7"));
    expect(one.of(neighbour("xgre2000", "10.0.0.7", "02:00:00:00:00:03")).redecide?.tenants).toEqual([2]);
  });

  it("more of a tenant's hosts than can be remembered, one is forgotten, and the tenant named", () => {
    const one = new Interest(desired, 201, new NeighbourMemory(1));
    one.of(neighbour("xgre2000", "10.0.0.7", "02:00:00:00:00:07"));
    expect(one.of(neighbour("xgre2000", "10.0.0.8", "02:00:00:00:00:08"))).toEqual({ forgotNeighbourOf: 2 });
  });

  it("a MAC that comes back after the neighbour was forgotten: it is compared with the last one known", () => {
    const one = interest();
    one.of(forgotten("eth0", "172.168.0.11"));
    expect(one.of(neighbour("eth0", "172.168.0.11", "02:00:00:00:00:03")).redecide?.tenants).toEqual([1]);
  });
});

describe("of the pins", () => {
  const links = "/sys/fs/bpf/xgw/gw1/links";

  it("the link of a program on a tunnel is the tenant's", () => {
    expect(interest().ofPin(`${links}/arp_xgre2000`)).toEqual(look("pin arp_xgre2000", [2]));
  });

  it("the link of a program on a NIC is everybody's", () => {
    expect(interest().ofPin(`${links}/xdp_eth0`)).toEqual({ check: "pin" });
  });

  it("a tunnel's link in another folder is nobody's in particular", () => {
    expect(interest().ofPin("/sys/fs/bpf/xgw/gw1/maps/arp_xgre2000")).toEqual({ check: "pin" });
  });
});

it("a route of another instance's tenant is not looked at", () => {
  const hasVrfOf = (routeTable: number) => [100_001, 100_007].includes(routeTable);
  const one = new Interest(desired, 201, neighbours(), hasVrfOf);
  const seen = [100_001, 100_007].map(
    (routeTable) => one.of(route("10.0.0.7/32", { protocol: 201, routeTable })).check,
  );
  expect(seen).toEqual(["route", undefined]);
});

it("what belongs to a tenant that is about to come is looked at with that tenant alone", () => {
  const one = new Interest({ ...desired, tenants: desired.tenants.slice(0, 2) }, 201, neighbours());
  one.expect(desired.tenants.slice(2));
  const events = [
    device("xgre3000"),
    route("10.0.0.7/32", { protocol: 201, routeTable: 100003 }),
    inFlowtable("xgre3000"),
  ];
  expect(events.map((event) => [...(one.of(event).scope?.tenants ?? [])])).toEqual([[3], [3], [3]]);
});

it("a MAC on a NIC that the config has only later is compared with the one before", () => {
  const known = new NeighbourMemory();
  new Interest(desired, 201, known).of(neighbour("eth9", "172.168.0.99", "02:00:00:00:00:01"));
  const later = new Interest({ ...desired, nics: [{ name: "eth9", xdp: "native" }] }, 201, known);
  expect(later.of(neighbour("eth9", "172.168.0.99", "02:00:00:00:00:02")).redecide?.tenants).toEqual([1, 2, 3]);
});

describe("with an uplink", () => {
  const uplink = { device: "eth1.100", gateway: "203.0.113.1" };
  const watching = () =>
    new Interest({ ...desired, uplink }, 201, knowing(["eth1.100", "203.0.113.1", "02:00:00:00:00:01"]));

  it("its device is looked at", () => {
    expect(watching().of(device("eth1.100"))).toEqual({ check: "device eth1.100" });
  });

  it("a gateway with another MAC address makes everybody's flows anew", () => {
    const moved = neighbour("eth1.100", "203.0.113.1", "02:00:00:00:00:02");
    const why = "neighbour 203.0.113.1 on eth1.100";
    expect(watching().of(moved)).toEqual(redecide(why, [1, 2, 3], why));
  });
});
