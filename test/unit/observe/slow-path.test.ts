// What netlink and nft say becomes the state that it was made from; what is not ours is left out or refused.
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { NftTable } from "../../../src/kernel/nftables.js";
import type { InterfaceAddress, KernelRoute, Link, Neighbour } from "../../../src/kernel/rtnetlink.js";
import {
  checkForeignDevices,
  idsInUse,
  idsOfOthers,
  observeSlowPath,
  observeSysctls,
  type SlowPathState,
} from "../../../src/observe/slow-path.js";
import { groupOf } from "../../../src/plan/owner.js";
import { damagedRules, rulesScript, rulesVersion, sealOfRules } from "../../../src/plan/rules.js";
import type { Chain } from "../../../src/plan/seal.js";
import { sealOfShare, shareScript } from "../../../src/plan/shares.js";
import type { Family } from "../../../src/plan/state.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

interface Told {
  links: Link[];
  addresses: InterfaceAddress[];
  neighbours: Neighbour[];
  routes: KernelRoute[];
  families: Family[];
  ruleOrder: SlowPathState["ruleOrder"];
  table: NftTable | undefined;
  ofIpv6: NftTable | undefined;
}

/** What the kernel tells. */
const told = vi.hoisted(() => ({}) as Told);

const unknown = "*";
vi.mock("../../../src/kernel/nftables.js", () => ({
  readTable: (_name: string, _types: unknown, family?: string) => (family === "ip6" ? told.ofIpv6 : told.table),
  unknown: "*",
}));
vi.mock("../../../src/kernel/routing-rules.js", () => ({
  families: () => told.families,
  readRuleOrders: () => told.ruleOrder,
}));
vi.mock("../../../src/kernel/rtnetlink.js", () => ({
  readLinks: () => told.links,
  linkNames: () => new Map(),
  readAddresses: () => told.addresses,
  readNeighbours: () => told.neighbours,
  readRoutes: (_names: unknown, protocol: number) => told.routes.filter((route) => route.protocol === protocol),
}));

const vrf: Link = {
  ifindex: 5,
  name: "xvrf1000",
  isUp: true,
  mtu: 65575,
  group: groupOf("gw1"),
  alias: "xgw/gw1/user1",
  kind: "vrf",
  vrf: { routeTable: 100_001 },
};
const tunnel: Link = {
  ifindex: 6,
  name: "xgre1000",
  isUp: true,
  mtu: 1458,
  group: groupOf("gw1"),
  master: "xvrf1000",
  alias: "xgw/gw1/user1",
  kind: "gretap",
  tunnel: { local: "172.168.0.1", inputKey: 1000, outputKey: 1000 },
};
const eth0: Link = { ifindex: 2, name: "eth0", isUp: true, mtu: 1500, group: 0 };

beforeEach(() => {
  Object.assign(told, {
    links: [eth0, vrf, tunnel],
    addresses: [],
    neighbours: [],
    routes: [],
    families: ["ipv4", "ipv6"],
    ruleOrder: new Map(),
    table: undefined,
    ofIpv6: undefined,
  });
});

const observe = () => observeSlowPath("gw1").state;

describe("devices", () => {
  it("that bear our alias are ours, in the form in which they are compared", async () => {
    expect([...observe().devices]).toEqual([
      ["xvrf1000", { kind: "vrf", routeTable: 100_001, owner: "xgw/gw1/user1" }],
      [
        "xgre1000",
        { kind: "gretap", key: 1000, local: "172.168.0.1", vrf: "xvrf1000", mtu: 1458, owner: "xgw/gw1/user1" },
      ],
    ]);
  });

  it("of another instance are not ours", async () => {
    told.links = [
      { ...vrf, alias: "xgw/gw10/user1" },
      { ...tunnel, alias: "xgw/gw/user1" },
    ];
    expect([...observe().devices]).toEqual([]);
  });

  it("that a run which was killed has just made are ours by their group, and to be set up", async () => {
    told.links = [{ ...vrf, alias: undefined, isUp: false, group: groupOf("gw1") }];
    expect([...observe().devices]).toEqual([["xvrf1000", { kind: "vrf", routeTable: 100_001, owner: "" }]]);
  });

  it("without an alias, and of no group or another instance's, are not ours", async () => {
    told.links = [
      { ...vrf, alias: undefined, group: 0 },
      { ...vrf, alias: undefined, name: "xvrf2000", group: groupOf("gw2") },
    ];
    expect([...observe().devices]).toEqual([]);
  });

  it("in another group than ours, as an older version leaves them, are set right", async () => {
    told.links = [{ ...vrf, group: 0 }];
    expect([...observe().devices.values()]).toMatchObject([{ owner: "" }]);
  });

  const changed = async (change: Partial<Link>) => {
    told.links = [{ ...tunnel, ...change }];
    return observe().devices.get("xgre1000");
  };
  const keys = (inputKey?: number, outputKey?: number) => ({ tunnel: { local: "1.1.1.1", inputKey, outputKey } });

  it("that are down differ from what is wanted, and so are set up again", async () => {
    expect(await changed({ isUp: false })).toMatchObject({ owner: "" });
  });

  it("with two keys have none of them", async () => {
    expect(await changed(keys(1, 2))).toMatchObject({ key: -1 });
  });

  it("without a key have none", async () => {
    expect(await changed(keys())).toMatchObject({ key: -1 });
  });

  it("with the largest key have it", async () => {
    expect(await changed(keys(4_294_967_295, 4_294_967_295))).toMatchObject({ key: 4_294_967_295 });
  });

  it("outside their VRF differ from what is wanted", async () => {
    expect(await changed({ master: undefined })).toMatchObject({ vrf: "" });
  });

  it("of a kind that xgw never makes are not touched, whatever their alias", async () => {
    told.links = [{ ...tunnel, kind: "bridge" }];
    expect(observe).toThrow(expect.objectContaining({ code: "XGW_FOREIGN", exitCode: 5 }));
  });
});

it("addresses are those of our devices", async () => {
  told.addresses = [
    { device: "eth0", address: "172.168.0.1", prefixLength: 24 },
    { device: "xgre1000", address: "10.0.0.1", prefixLength: 24 },
  ];
  expect([...observe().addresses.values()]).toEqual([{ device: "xgre1000", address: "10.0.0.1/24" }]);
});

it("neighbours are the permanent ones of our devices whose link-layer address is their own", async () => {
  const [device, isPermanent] = ["xgre1000", true];
  told.neighbours = [
    { device, address: "172.168.0.11", linkAddress: "172.168.0.11", isPermanent },
    { device, address: "172.168.0.12", linkAddress: "172.168.0.11", isPermanent },
    { device, address: "172.168.0.13", linkAddress: "172.168.0.13", isPermanent: false },
    { device: "eth0", address: "172.168.0.11", linkAddress: "02:00:00:00:11:11", isPermanent },
  ];
  expect([...observe().neighbours.values()]).toEqual([{ device: "xgre1000", endpoint: "172.168.0.11" }]);
});

it("the order of the routing rules is that of each family", async () => {
  told.ruleOrder = new Map([["ipv4", "tenants first"]]);
  expect(observe().ruleOrder).toEqual(told.ruleOrder);
});

describe("routes", () => {
  it("that bear our protocol number are ours", async () => {
    const everywhere = { address: 0, length: 0 };
    const host = { address: 0x0a00_0007, length: 32 };
    const [unicast, unreachable] = [1, 7];
    const ours = { protocol: 201, type: unicast, to: everywhere, routeTable: 100_001 };
    const encap = { id: 1000, remote: "172.168.0.11" };
    told.routes = [
      { ...ours, type: unreachable },
      { ...ours, to: host, device: "xgre1000", encap },
      { ...ours, routeTable: 100_002, gateway: "203.0.113.1", device: "eth1" },
      { ...ours, type: unreachable, device: "lo", metric: 4_294_967_295 },
      { ...ours, routeTable: 254, to: { address: 0x0a01_0000, length: 16 }, device: "eth0" },
      { ...ours, routeTable: 254, gateway: "172.168.0.254", device: "eth0", protocol: 3 },
    ];
    expect([...observe().routes.values()]).toEqual([
      { routeTable: 100_001, to: "default" },
      { routeTable: 100_001, to: "10.0.0.7/32", tunnel: { device: "xgre1000", key: 1000, via: "172.168.0.11" } },
      { routeTable: 100_002, to: "default", uplink: { device: "eth1", via: "203.0.113.1" } },
      { routeTable: 100_001, to: "default", metric: 4_294_967_295 },
      { routeTable: 254, to: "10.1.0.0/16", tunnel: { device: "eth0", key: null, via: "" } },
    ]);
  });
});

describe("the nft table", () => {
  const table = (parts: Partial<NftTable>): NftTable => ({
    isDormant: false,
    chains: new Map([["xgw_version_0123456789ab", { rules: [] }]]),
    sets: new Map(),
    flowtableDevices: new Map(),
    ...parts,
  });

  it("that is not there has no rules", () => {
    expect(observe()).toMatchObject({ rules: "", elements: new Map(), flowtableDevices: new Map() });
  });

  it("says the version of its rules", () => {
    told.table = table({});
    expect(observe().rules).toBe("0123456789ab");
  });

  it("gives the elements of tenants, and not the counters", () => {
    told.table = table({
      sets: new Map([
        ["zones", [{ key: "xgre1000", value: "1" }]],
        ["inbound0", [{ key: "1 . 6 . 0.0.0.0-255.255.255.255 . 22", value: "1" }]],
        ["denied_inbound", [{ key: "1 . 0", value: "", counter: { packets: 1, bytes: 60 } }]],
      ]),
    });
    expect([...observe().elements.values()]).toEqual([
      { set: "zones", key: "xgre1000", value: "1" },
      { set: "inbound", key: "1 . 6 . 0.0.0.0-255.255.255.255 . 22", value: "1" },
    ]);
  });

  const [ofIpv4 = "", ofIpv6 = ""] = rulesScript("gw1").split("table ip6 xgw_gw1 {");

  /** Sealed as they are. */
  function chainsOf(family: "ip" | "ip6", script: string): Map<string, Chain> {
    const chains = new Map<string, Chain>();
    for (const chain of script.split("\tchain ").slice(1)) {
      const [head = "", ...lines] = (chain.split("\n\t}")[0] ?? "").split("\n");
      const rules = lines.filter((line) => /^\t\t(?!type )/.test(line)).map((line) => Buffer.from(line));
      chains.set(head.split(" ")[0] ?? "", { rules });
    }
    return chains.set(sealOfRules(family, chains), { rules: [] });
  }

  const whole = { isDormant: false, sets: new Map(), flowtableDevices: new Map() };
  beforeEach(() => {
    told.ofIpv6 = { ...whole, chains: chainsOf("ip6", ofIpv6) };
  });

  /** Our rules and the first share, less the one that is named. */
  function ours(lost: { rule?: string; jump?: string }): NftTable {
    const chains = chainsOf("ip", ofIpv4);
    const share = shareScript("ip xgw_gw1", 0, ["xgre1000"]);
    const names = (pattern: RegExp) => [...share.matchAll(pattern)].map(([, ...found]) => found as string[]);
    for (const [name = ""] of names(/^add rule ip xgw_gw1 (\S+)/gm))
      chains.set(name, { rules: [...(chains.get(name)?.rules ?? []), Buffer.from(name)] });
    chains.set(
      sealOfShare(0, (name) => chains.get(name)),
      { rules: [] },
    );
    const sets = new Map<string, NftTable["sets"] extends ReadonlyMap<string, infer E> ? E : never>();
    for (const [name = "", to = ""] of names(/^add element ip xgw_gw1 (\S+) \{ 0 : jump (\S+) \}/gm))
      sets.set(name, name === lost.jump ? [] : [{ key: "0", value: to }]);
    sets.set("inbound0", [{ key: "5 . 6 . 1.2.3.4 . 22", value: "1" }]);
    if (lost.rule !== undefined) chains.set(lost.rule, { rules: chains.get(lost.rule)?.rules.slice(1) ?? [] });
    return { isDormant: false, chains, sets, flowtableDevices: new Map([["xgre1000", "fastpath0"]]) };
  }

  it("of ours has its rules, elements by the set that the maps of shares are part of, and devices of flowtables", () => {
    told.table = ours({});
    expect(observe()).toMatchObject({
      rules: rulesVersion,
      elements: new Map([
        ["inbound 5 . 6 . 1.2.3.4 . 22", { set: "inbound", key: "5 . 6 . 1.2.3.4 . 22", value: "1" }],
      ]),
      flowtableDevices: new Map([["xgre1000", "fastpath0"]]),
    });
  });

  it.each([
    "judge_gre",
    "judge_summed_gre",
    "judge_own_gre",
    "assign_zone",
    "own",
    "to_gateway",
    "between_sides",
    "refuse_pickup",
    "leaving",
    "refuse_spoofed",
    "judge_source",
    "to_tenant",
    "from_tenant",
    "forward",
    "forwarded",
    "admit_inbound",
    "admit_outbound",
  ])("that lacks a rule of %s has damaged rules", (rule) => {
    told.table = ours({ rule });
    expect(observe().rules).toBe(damagedRules);
  });

  it.each(["refuse", "count"])("whose table of IPv6 lacks a rule of %s has damaged rules", (chain) => {
    told.table = ours({});
    told.ofIpv6 = { ...whole, chains: chainsOf("ip6", ofIpv6).set(chain, { rules: [] }) };
    expect(observe().rules).toBe(damagedRules);
  });

  it("without its table of IPv6 has damaged rules", () => {
    told.table = ours({});
    told.ofIpv6 = undefined;
    expect(observe().rules).toBe(damagedRules);
  });

  it("without its table of IPv6 is whole where the kernel has no IPv6", () => {
    told.table = ours({});
    told.ofIpv6 = undefined;
    told.families = ["ipv4"];
    expect(observe().rules).toBe(rulesVersion);
  });

  it.each([
    { rule: "to_fastpath0" },
    { rule: "to_shared_to0" },
    { jump: "forward_range_shares" },
    { jump: "inbound_shares" },
    { jump: "outbound_shares" },
  ])("whose zones are not led to their part of the share has none of its devices: without $rule$jump", (lost) => {
    told.table = ours(lost);
    expect(observe()).toMatchObject({ rules: rulesVersion, flowtableDevices: new Map() });
  });

  it("with an element that none of its sets can have from xgw has damaged rules", () => {
    const { sets, ...rest } = ours({});
    told.table = { ...rest, sets: new Map([...sets, ["dnat_to", [{ key: unknown, value: "10.0.0.7" }]]]) };
    expect(observe().rules).toBe(damagedRules);
  });

  it("that xgw has not made is somebody else's", () => {
    told.table = table({ chains: new Map([["input", { rules: [] }]]) });
    expect(observe).toThrow(
      expect.objectContaining({
        code: "XGW_FOREIGN",
        exitCode: 5,
        message: "the nft table ip xgw_gw1 was not made by xgw",
      }),
    );
  });
});

describe("what is in the way", async () => {
  const desired = await desiredOf(await exampleText());
  const plain = (name: string, extra: Partial<Link> = {}): Link => ({
    ifindex: 9,
    name,
    isUp: false,
    mtu: 1500,
    group: 0,
    ...extra,
  });

  it("is not our own device", () => expect(() => checkForeignDevices(desired, [vrf, tunnel, eth0])).not.toThrow());

  it("is a device of somebody else under a name of ours", () => {
    expect(() => checkForeignDevices(desired, [plain("xgre2000")])).toThrow(
      expect.objectContaining({
        exitCode: 5,
        message: "device xgre2000 (ifindex 9) exists and belongs to somebody else",
      }),
    );
  });

  it("is a device of another instance under a name of ours", () => {
    expect(() => checkForeignDevices(desired, [plain("xvrf1000", { alias: "xgw/other/user1" })])).toThrow(
      expect.objectContaining({ message: "device xvrf1000 (ifindex 9) exists and belongs to xgw instance other" }),
    );
  });

  it("is a VRF that has one of our route tables", () => {
    const mine = plain("mine", { kind: "vrf", vrf: { routeTable: 100_002 } });
    expect(() => checkForeignDevices(desired, [mine])).toThrow(
      expect.objectContaining({
        exitCode: 5,
        message: "VRF mine of somebody else uses route table 100002, which tenant user2 needs",
      }),
    );
  });

  it("is not a VRF with another table", () => {
    const mine = plain("mine", { kind: "vrf", vrf: { routeTable: 10 } });
    expect(() => checkForeignDevices(desired, [mine])).not.toThrow();
  });
});

it("ids that others have are those of their VRFs' tables", () => {
  const theirs = { ...vrf, name: "xvrf7", alias: "xgw/gw2/user", group: groupOf("gw2"), vrf: { routeTable: 100_007 } };
  const foreign = { ...vrf, name: "mine", alias: undefined, group: 0, vrf: { routeTable: 100_009 } };
  expect([...idsOfOthers("gw1", [eth0, vrf, theirs, foreign])]).toEqual([7, 9]);
});

it("routes in another instance's tables are not ours", () => {
  const route = { to: { address: 0, length: 0 }, protocol: 201, type: 7, metric: 1 };
  told.links = [
    vrf,
    { ...vrf, name: "xvrf7", alias: "xgw/gw2/user", group: groupOf("gw2"), vrf: { routeTable: 100_007 } },
  ];
  told.routes = [
    { ...route, routeTable: 100_001 },
    { ...route, routeTable: 100_007 },
  ];
  expect([...observe().routes.values()].map(({ routeTable }) => routeTable)).toEqual([100_001]);
});

it("tenant ids are read from the devices: a tunnel's key and its VRF's table", async () => {
  expect(idsInUse(observe().devices)).toEqual(new Map([[1000, 1]]));
});

it("settings that do not exist are left out", async () => {
  const seen = observeSysctls(["kernel.ostype", "net.ipv4.conf.no-such-device.rp_filter"]);
  expect([...seen]).toEqual([["kernel.ostype", "Linux"]]);
});
