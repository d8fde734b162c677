// What iproute2 and nft say becomes the state that it was made from; what is not ours is left out or refused.
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { IpLink } from "../../../src/kernel/ip.js";
import { checkForeignDevices, idsInUse, observeSlowPath, observeSysctls } from "../../../src/observe/slow-path.js";
import { groupOf } from "../../../src/plan/owner.js";
import { damagedRules, rulesScript, rulesVersion } from "../../../src/plan/rules.js";
import { shareScript } from "../../../src/plan/shares.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

/** Answers by command line; what is missing answers with nothing. */
const answers = vi.hoisted(() => new Map<string, { code: number; stdout: string; stderr: string }>());

vi.mock("../../../src/kernel/spawn.js", () => ({
  run: async (program: string, args: readonly string[]) =>
    answers.get([program, ...args].join(" ")) ?? { code: 0, stdout: "", stderr: "" },
}));

const linkCommand = "ip -j -d link show";
const ipCommand = "ip -N -j -4 -batch -";
const tableCommand = "nft -n -j list table ip xgw_gw1";
const answer = (command: string, value: unknown) =>
  answers.set(command, { code: 0, stdout: typeof value === "string" ? value : JSON.stringify(value), stderr: "" });
/** What ip prints for IPv4, each on a line of its own. */
const answerIp = ({ addresses = "[]", routes = "[]", neighbours = "[]", rules = "[]" }) =>
  answer(ipCommand, `${[addresses, routes, neighbours, rules].join("\n")}\n`);
const noTable = { code: 1, stdout: "", stderr: "Error: No such file or directory" };

const vrf: IpLink = {
  ifindex: 5,
  ifname: "xvrf1000",
  flags: ["UP"],
  mtu: 65575,
  ifalias: "xgw/gw1/user1",
  linkinfo: { info_kind: "vrf", info_data: { table: 100_001 } },
};
const tunnel: IpLink = {
  ifindex: 6,
  ifname: "xgre1000",
  flags: ["UP"],
  mtu: 1458,
  master: "xvrf1000",
  ifalias: "xgw/gw1/user1",
  linkinfo: { info_kind: "gretap", info_data: { local: "172.168.0.1", ikey: "0.0.3.232", okey: "0.0.3.232" } },
};
const eth0: IpLink = { ifindex: 2, ifname: "eth0", flags: ["UP"], mtu: 1500 };

beforeEach(() => {
  answers.clear();
  answer(linkCommand, [eth0, vrf, tunnel]);
  answers.set(tableCommand, noTable);
  answerIp({});
});

const observe = async () => (await observeSlowPath("gw1")).state;

describe("devices", () => {
  it("that bear our alias are ours, in the form in which they are compared", async () => {
    expect([...(await observe()).devices]).toEqual([
      ["xvrf1000", { kind: "vrf", routeTable: 100_001, owner: "xgw/gw1/user1" }],
      [
        "xgre1000",
        { kind: "gretap", key: 1000, local: "172.168.0.1", vrf: "xvrf1000", mtu: 1458, owner: "xgw/gw1/user1" },
      ],
    ]);
  });

  it("of another instance are not ours", async () => {
    answer(linkCommand, [
      { ...vrf, ifalias: "xgw/gw10/user1" },
      { ...tunnel, ifalias: "xgw/gw/user1" },
    ]);
    expect([...(await observe()).devices]).toEqual([]);
  });

  it("that a run which was killed has just made are ours by their group, and to be set up", async () => {
    const { ifalias: _, ...made } = vrf;
    answer(linkCommand, [{ ...made, flags: [], group: String(groupOf("gw1")) }]);
    expect([...(await observe()).devices]).toEqual([["xvrf1000", { kind: "vrf", routeTable: 100_001, owner: "" }]]);
  });

  it("without an alias, and of no group or another instance's, are not ours", async () => {
    const { ifalias: _, ...made } = vrf;
    answer(linkCommand, [
      { ...made, group: "default" },
      { ...made, ifname: "xvrf2000", group: String(groupOf("gw2")) },
    ]);
    expect([...(await observe()).devices]).toEqual([]);
  });

  const changed = async (change: Partial<IpLink>) => {
    answer(linkCommand, [{ ...tunnel, ...change }]);
    return (await observe()).devices.get("xgre1000");
  };
  const data = (info_data: object) => ({ linkinfo: { info_kind: "gretap", info_data } });

  it("that are down differ from what is wanted, and so are set up again", async () => {
    expect(await changed({ flags: [] })).toMatchObject({ owner: "" });
  });

  it("with two keys have none of them", async () => {
    expect(await changed(data({ local: "1.1.1.1", ikey: "0.0.0.1", okey: "0.0.0.2" }))).toMatchObject({ key: -1 });
  });

  it("without a key have none", async () => {
    expect(await changed(data({ local: "1.1.1.1" }))).toMatchObject({ key: -1 });
  });

  it("with the largest key have it", async () => {
    const key = "255.255.255.255";
    expect(await changed(data({ local: "1.1.1.1", ikey: key, okey: key }))).toMatchObject({ key: 4_294_967_295 });
  });

  it("outside their VRF differ from what is wanted", async () => {
    const { master: _, ...loose } = tunnel;
    answer(linkCommand, [loose]);
    expect((await observe()).devices.get("xgre1000")).toMatchObject({ vrf: "" });
  });

  it("of a kind that xgw never makes are not touched, whatever their alias", async () => {
    answer(linkCommand, [{ ...tunnel, linkinfo: { info_kind: "bridge" } }]);
    await expect(observe()).rejects.toMatchObject({ code: "XGW_FOREIGN", exitCode: 5 });
  });
});

it("addresses are those of our devices", async () => {
  const addresses = [
    { ifname: "eth0", addr_info: [{ family: "inet", local: "172.168.0.1", prefixlen: 24 }] },
    { ifname: "xgre1000", addr_info: [{ family: "inet", local: "10.0.0.1", prefixlen: 24 }] },
  ];
  answerIp({ addresses: JSON.stringify(addresses) });
  expect([...(await observe()).addresses.values()]).toEqual([{ device: "xgre1000", address: "10.0.0.1/24" }]);
});

it("neighbours are those of our devices whose link-layer address is their own", async () => {
  const neighbours = [
    { dst: "172.168.0.11", dev: "xgre1000", lladdr: "172.168.0.11", state: ["PERMANENT"] },
    { dst: "172.168.0.12", dev: "xgre1000", lladdr: "172.168.0.11", state: ["PERMANENT"] },
    { dst: "172.168.0.11", dev: "eth0", lladdr: "02:00:00:00:11:11", state: ["PERMANENT"] },
  ];
  answerIp({ neighbours: JSON.stringify(neighbours) });
  expect([...(await observe()).neighbours.values()]).toEqual([{ device: "xgre1000", endpoint: "172.168.0.11" }]);
});

it.each([
  ["is missing", "[]", false],
  ["is not among others", '[{"priority":0,"src":"all","table":"255"}]', false],
  ["is there", '[{"priority":0,"src":"all","table":"255"},{"priority":1000,"src":"all","l3mdev":null}]', true],
])("the rule of VRFs %s", async (_what, rules, isThere) => {
  answerIp({ rules });
  expect((await observe()).vrfRule).toBe(isThere);
});

it("an answer that is missing is not taken for nothing", async () => {
  answer(ipCommand, "[]\n[]\n[]\n");
  await expect(observe()).rejects.toThrow("ip gave fewer answers than there were questions");
});

describe("routes", () => {
  it("that bear our protocol number are ours", async () => {
    answerIp({
      routes:
        '[{"type":"7","dst":"default","table":"100001","protocol":"201","flags":[]},' +
        '{"dst":"10.0.0.7","encap":"ip","id":1000,"src":"0.0.0.0","dst":"172.168.0.11","ttl":0,"tos":0,"key":true,' +
        '"dev":"xgre1000","table":"100001","protocol":"201","scope":"253","flags":[]},' +
        '{"dst":"default","gateway":"203.0.113.1","dev":"eth1","table":"100002","protocol":"201","flags":["onlink"]},' +
        '{"type":"7","dst":"default","dev":"lo","table":"100001","protocol":"201","metric":4294967295,"flags":[]},' +
        '{"dst":"10.1.0.0/16","dev":"eth0","protocol":"201","flags":[]},' +
        '{"dst":"default","gateway":"172.168.0.254","dev":"eth0","protocol":"3","flags":[]}]',
    });
    expect([...(await observe()).routes.values()]).toEqual([
      { routeTable: 100_001, to: "default" },
      { routeTable: 100_001, to: "10.0.0.7/32", tunnel: { device: "xgre1000", key: 1000, via: "172.168.0.11" } },
      { routeTable: 100_002, to: "default", uplink: { device: "eth1", via: "203.0.113.1" } },
      { routeTable: 100_001, to: "default", metric: 4_294_967_295 },
      { routeTable: 254, to: "10.1.0.0/16", tunnel: { device: "eth0", key: null, via: "" } },
    ]);
  });
});

describe("the nft table", () => {
  const printed = readFileSync(new URL("../kernel/fixtures/nft-1.0.6-table.json", import.meta.url), "utf8");

  it("that is not there has no rules", async () => {
    expect(await observe()).toMatchObject({ rules: "", elements: new Map(), flowtableDevices: new Map() });
  });

  it("says the version of its rules", async () => {
    answer(tableCommand, printed);
    expect((await observe()).rules).toBe("0123456789ab");
  });

  it("gives the elements of tenants, and not the counters", async () => {
    answer(tableCommand, printed);
    expect([...(await observe()).elements.keys()].sort()).toEqual([
      "dnat_to 1 . 2.2.2.11",
      "forward_to 1 . 2.2.2.13 . 6 . 80",
      "inbound 1 . 1 . 10.0.0.1-10.0.0.3 . 0-65535",
      "inbound 1 . 17 . 10.0.0.0-10.255.255.255 . 1-1023",
      "inbound 1 . 6 . 0.0.0.0-255.255.255.255 . 22",
      "inbound 2 . 0-255 . 1.2.3.4 . 0-65535",
      "zones xgre1000",
      "zones xgre2000",
    ]);
  });

  /** As nft tells it, of our rules and the first share, less the one that is named. */
  function ours(lost: { rule?: string; jump?: string }) {
    const table = rulesScript("gw1", false);
    const share = shareScript("ip xgw_gw1", 0, ["xgre1000"]);
    const names = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match.slice(1));
    const chains = table
      .split("\tchain ")
      .slice(1)
      .flatMap((chain) => {
        const [head = "", ...lines] = (chain.split("\n\t}")[0] ?? "").split("\n");
        const name = head.split(" ")[0] ?? "";
        return [
          { chain: { name } },
          ...lines.filter((line) => /^\t\t(?!type )/.test(line)).map(() => ({ rule: { chain: name } })),
        ];
      });
    const objects = [
      ...chains,
      ...names(share, /^add chain ip xgw_gw1 (\S+)/gm).flatMap(([name]) => [
        { chain: { name } },
        { rule: { chain: name } },
      ]),
      ...names(share, /^add element ip xgw_gw1 (\S+) \{ 0 : jump (\S+) \}/gm).map(([name, target]) => ({
        map: { name, elem: name === lost.jump ? [] : [[0, { jump: { target } }]] },
      })),
      { map: { name: "inbound0", elem: [[{ concat: [5, 6, "1.2.3.4", 22] }, 1]] } },
      { flowtable: { name: "fastpath0", dev: "xgre1000" } },
    ];
    const at = objects.findIndex((object) => "rule" in object && object.rule.chain === lost.rule);
    return { nftables: objects.filter((_, index) => index !== at || lost.rule === undefined) };
  }

  it("of ours has its rules, elements by the set that the maps of shares are part of, and devices of flowtables", async () => {
    answer(tableCommand, ours({}));
    expect(await observe()).toMatchObject({
      rules: rulesVersion,
      elements: new Map([
        ["inbound 5 . 6 . 1.2.3.4 . 22", { set: "inbound", key: "5 . 6 . 1.2.3.4 . 22", value: "1" }],
      ]),
      flowtableDevices: new Map([["xgre1000", "fastpath0"]]),
    });
  });

  it.each([
    "assign_zone",
    "own",
    "to_tenant",
    "from_tenant",
    "forward",
    "forwarded",
    "admit_inbound",
    "admit_outbound",
  ])("that lacks a rule of %s has damaged rules", async (rule) => {
    answer(tableCommand, ours({ rule }));
    expect((await observe()).rules).toBe(damagedRules);
  });

  it.each([
    { rule: "to_fastpath0" },
    { rule: "to_shared_to0" },
    { jump: "forward_range_shares" },
    { jump: "inbound_shares" },
    { jump: "outbound_shares" },
  ])("whose zones are not led to their part of the share has none of its devices: without $rule$jump", async (lost) => {
    answer(tableCommand, ours(lost));
    expect(await observe()).toMatchObject({ rules: rulesVersion, flowtableDevices: new Map() });
  });

  it("that xgw has not made is somebody else's", async () => {
    answer(tableCommand, { nftables: [{ table: { family: "ip", name: "xgw_gw1" } }, { chain: { name: "input" } }] });
    await expect(observe()).rejects.toMatchObject({
      code: "XGW_FOREIGN",
      exitCode: 5,
      message: "the nft table ip xgw_gw1 was not made by xgw",
    });
  });
});

describe("what is in the way", async () => {
  const desired = await desiredOf(await exampleText());
  const plain = (ifname: string, extra: Partial<IpLink> = {}): IpLink => ({
    ifindex: 9,
    ifname,
    flags: [],
    mtu: 1500,
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
    expect(() => checkForeignDevices(desired, [plain("xvrf1000", { ifalias: "xgw/other/user1" })])).toThrow(
      expect.objectContaining({ message: "device xvrf1000 (ifindex 9) exists and belongs to xgw instance other" }),
    );
  });

  it("is a VRF that has one of our route tables", () => {
    const mine = plain("mine", { linkinfo: { info_kind: "vrf", info_data: { table: 100_002 } } });
    expect(() => checkForeignDevices(desired, [mine])).toThrow(
      expect.objectContaining({
        exitCode: 5,
        message: "VRF mine of somebody else uses route table 100002, which tenant user2 needs",
      }),
    );
  });

  it("is not a VRF with another table", () => {
    const mine = plain("mine", { linkinfo: { info_kind: "vrf", info_data: { table: 10 } } });
    expect(() => checkForeignDevices(desired, [mine])).not.toThrow();
  });
});

it("tenant ids are read from the devices: a tunnel's key and its VRF's table", async () => {
  expect(idsInUse((await observe()).devices)).toEqual(new Map([[1000, 1]]));
});

it("settings that do not exist are left out", async () => {
  const seen = observeSysctls(["kernel.ostype", "net.ipv4.conf.no-such-device.rp_filter"]);
  expect([...seen]).toEqual([["kernel.ostype", "Linux"]]);
});
