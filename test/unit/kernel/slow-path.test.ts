// Steps as text: what iproute2 and nft are given, whole.
import { beforeEach, describe, expect, it, vi } from "vitest";
import { addSlowPath, removeDevices, removeFences, removeRoutes, removeRules } from "../../../src/kernel/slow-path.js";
import { diff } from "../../../src/plan/diff.js";
import { groupOf } from "../../../src/plan/owner.js";
import { rulesScript } from "../../../src/plan/rules.js";
import { flowtableOf, shareScript } from "../../../src/plan/shares.js";
import type { Step } from "../../../src/plan/steps.js";
import { exampleText, nothing, stateOf, stepsBetween, thirdTenant, withDevice } from "../plan/fixture.js";

/** What was run, in order: `ip -batch -` and `nft -f -` as their input, settings as `name = value`. */
const done: string[] = vi.hoisted(() => []);

vi.mock("../../../src/kernel/spawn.js", () => ({
  run: async (program: string, args: readonly string[], { input = "" } = {}) => {
    done.push(`$ ${[program, ...args].join(" ")}\n${input}`);
    return { code: 0, stdout: "", stderr: "" };
  },
}));
let kernelHasIpv6: boolean;
vi.mock("../../../src/kernel/sysctl.js", () => ({
  hasIpv6: () => kernelHasIpv6,
  writeSysctl: async (name: string, value: string) => void done.push(`${name} = ${value}\n`),
}));

beforeEach(() => {
  done.length = 0;
  kernelHasIpv6 = true;
});

const example = await exampleText();
const group = groupOf("gw1");
const withThird = example + thirdTenant;

async function ran(work: () => Promise<void>): Promise<string> {
  await work();
  return done.join("");
}

const added = (steps: readonly Step[]) => ran(() => addSlowPath("gw1", steps));

it("a tenant that is added: what keeps it apart is there before its tunnel is up, and its NAT and policy follow the routes", async () => {
  expect(await added(await stepsBetween(example, withThird))).toBe(`$ ip -batch -
route replace unreachable default table 100003 proto 201 metric 4294967295
route replace unreachable ::/0 table 100003 proto 201 metric 4294967295
route replace unreachable 2.2.2.13/32 table 100003 proto 201
link add name xvrf3000 group ${group} type vrf table 100003
link set dev xvrf3000 alias xgw/gw1/user3 group ${group}
link set dev xvrf3000 up
link add name xgre3000 group ${group} type gre local 172.168.0.1 key 3000 ttl 64
link set dev xgre3000 alias xgw/gw1/user3 group ${group}
link set dev xgre3000 addrgenmode none
link set dev xgre3000 master xvrf3000
link set dev xgre3000 mtu 1472
net.ipv4.conf.xvrf3000.rp_filter = 0
net.ipv4.conf.xgre3000.rp_filter = 0
net.ipv4.conf.xgre3000.send_redirects = 0
net.ipv4.conf.xgre3000.promote_secondaries = 1
$ nft -f -
add element ip xgw_gw1 gre_keys { 172.168.0.1 . 3000 : 3 }
add element ip xgw_gw1 gre_peers { "eth0" . 2896691213 . 3000 : 3 }
add element ip xgw_gw1 own_tunnel { 3 . "xgre3000" }
add element ip xgw_gw1 zones { "xgre3000" : 3 }
$ ip -batch -
link set dev xgre3000 up
addr replace 10.0.0.1/24 dev xgre3000 noprefixroute
neigh replace 172.168.0.13 lladdr 172.168.0.13 dev xgre3000 nud permanent
route replace 10.0.0.8/32 table 100003 proto 201 via 172.168.0.13 dev xgre3000 onlink
$ nft -f -
${shareScript("ip xgw_gw1", 0, ["xgre3000"])}add element ip xgw_gw1 forward_to { 3 . 2.2.2.13 . 6 . 80 : 10.0.0.8 . 8080 }
add element ip xgw_gw1 segment { 3 : 1432 }
add element ip xgw_gw1 inbound0 { 3 . 6 . 0.0.0.0-255.255.255.255 . 8080-8080 : 1 }
add element ip xgw_gw1 outbound0 { 3 . 0-255 . 0.0.0.0-255.255.255.255 . 0-65535 : 65537 }
net.ipv4.conf.xvrf3000.forwarding = 1
net.ipv4.conf.xgre3000.forwarding = 1
`);
});

it("an uplink that is added: its route, and what may leave by it", async () => {
  const uplink = "uplink: { device: eth1, gateway: 203.0.113.1 }\nnics:\n  - { name: eth1 }\n";
  expect(await added(await stepsBetween(example, example.replace("nics:\n", uplink)))).toBe(`$ ip -batch -
route replace default table 100001 proto 201 via 203.0.113.1 dev eth1 onlink
route replace default table 100002 proto 201 via 203.0.113.1 dev eth1 onlink
$ nft -f -
add element ip xgw_gw1 sides { "eth1" }
add element ip6 xgw_gw1 other_sides { "eth1" }
add element ip6 xgw_gw1 other_hosts { "eth1" }
add element ip xgw_gw1 uplink { "eth1" }
add element ip xgw_gw1 uplink_sources { 1 . "eth1" . 2.2.2.11, 2 . "eth1" . 2.2.2.12 }
net.ipv4.conf.eth1.forwarding = 1
`);
});

describe("a tenant that is removed", async () => {
  const steps = await stepsBetween(withThird, example);

  it("leaves the nft table in one transaction, but for what keeps it apart", async () => {
    expect(await added(steps)).toBe(`$ nft -f -
delete flowtable ip xgw_gw1 fastpath0 { hook ingress priority filter; devices = { xgre3000 }; }
delete element ip xgw_gw1 forward_to { 3 . 2.2.2.13 . 6 . 80 }
delete element ip xgw_gw1 segment { 3 }
delete element ip xgw_gw1 inbound0 { 3 . 6 . 0.0.0.0-255.255.255.255 . 8080-8080 }
delete element ip xgw_gw1 outbound0 { 3 . 0-255 . 0.0.0.0-255.255.255.255 . 0-65535 }
`);
  });

  it("loses its routes and addresses", async () => {
    expect(await ran(() => removeRoutes(steps))).toBe(`$ ip -batch -
route del 10.0.0.8/32 table 100003 proto 201
neigh del 172.168.0.13 dev xgre3000
addr del 10.0.0.1/24 dev xgre3000
`);
  });

  it("loses what kept it apart last", async () => {
    expect(await ran(() => removeFences("gw1", steps))).toBe(`$ ip -batch -
route del default table 100003 proto 201 metric 4294967295
route del ::/0 table 100003 proto 201 metric 4294967295
route del 2.2.2.13/32 table 100003 proto 201
$ nft -f -
delete element ip xgw_gw1 gre_keys { 172.168.0.1 . 3000 }
delete element ip xgw_gw1 gre_peers { "eth0" . 2896691213 . 3000 }
delete element ip xgw_gw1 own_tunnel { 3 . "xgre3000" }
delete element ip xgw_gw1 zones { "xgre3000" }
`);
  });

  it("loses its tunnel before its VRF", async () => {
    expect(await ran(() => removeDevices(["xvrf3000", "xgre3000"]))).toBe(`$ ip -batch -
link del dev xgre3000
link del dev xvrf3000
`);
  });
});

describe("an address that goes", async () => {
  const steps = await stepsBetween(withThird, withThird.replace("addresses: [10.0.0.1/24]", "addresses: []"));
  const staying = await stateOf(withThird.replace("addresses: [10.0.0.1/24]", "addresses: []"));

  it("and was a tunnel's last: what the kernel takes along comes again at once", async () => {
    expect(await ran(() => removeRoutes(steps, staying))).toBe(`$ ip -batch -
addr del 10.0.0.1/24 dev xgre3000
neigh replace 172.168.0.13 lladdr 172.168.0.13 dev xgre3000 nud permanent
route replace 10.0.0.8/32 table 100003 proto 201 via 172.168.0.13 dev xgre3000 onlink
`);
  });

  it("and leaves others on the tunnel takes nothing along", async () => {
    const address = { device: "xgre3000", address: "10.9.9.9/24" };
    const addresses = new Map([["another", address]]);
    expect(await ran(() => removeRoutes(steps, { ...staying, addresses }))).toBe(
      "$ ip -batch -\naddr del 10.0.0.1/24 dev xgre3000\n",
    );
  });
});

it("a policy that is cut anew: old cells go before new ones come, in one transaction", async () => {
  const text = await exampleText(["- { deny: tcp, ports: [23] }", "- { deny: tcp, ports: [23, 25] }"]);
  expect(await added(await stepsBetween(example, text))).toBe(`$ nft -f -
delete element ip xgw_gw1 outbound0 { 2 . 6 . 0.0.0.0-255.255.255.255 . 24-65535 }
add element ip xgw_gw1 outbound0 { 2 . 6 . 0.0.0.0-255.255.255.255 . 24-24 : 65538, \
2 . 6 . 0.0.0.0-255.255.255.255 . 25-25 : 2147549185, 2 . 6 . 0.0.0.0-255.255.255.255 . 26-65535 : 65538 }
`);
});

it("a public address that goes to another host: the element is replaced", async () => {
  const text = await exampleText(["{ address: 2.2.2.12, to: 10.0.0.7 }", "{ address: 2.2.2.12, to: 1.1.1.7 }"]);
  expect(await added(await stepsBetween(example, text))).toBe(`$ nft -f -
delete element ip xgw_gw1 snat_to { 2 . 10.0.0.7 }
delete element ip xgw_gw1 dnat_to { 2 . 2.2.2.12 }
add element ip xgw_gw1 snat_to { 2 . 1.1.1.7 : 2.2.2.12 }
add element ip xgw_gw1 dnat_to { 2 . 2.2.2.12 : 1.1.1.7 }
`);
});

it("a device that is set keeps its name, key and routes", async () => {
  const wanted = await stateOf(example);
  expect(await added(diff(wanted, withDevice(wanted, "xgre1000", { mtu: 1400 })))).toBe(`$ ip -batch -
link set dev xgre1000 alias xgw/gw1/user1 group ${group}
link set dev xgre1000 addrgenmode none
link set dev xgre1000 master xvrf1000
link set dev xgre1000 mtu 1458
$ ip -batch -
link set dev xgre1000 up
`);
});

it("a device that is made anew is deleted before anything is added, and gets all that went with it", async () => {
  const wanted = await stateOf(example);
  expect(await added(diff(wanted, withDevice(wanted, "xgre1000", { key: 7 })))).toBe(`$ ip -batch -
link del dev xgre1000
link add name xgre1000 group ${group} address 02:67:00:00:03:e8 type gretap local 172.168.0.1 key 1000 ttl 64
link set dev xgre1000 alias xgw/gw1/user1 group ${group}
link set dev xgre1000 addrgenmode none
link set dev xgre1000 master xvrf1000
link set dev xgre1000 mtu 1458
net.ipv4.conf.xgre1000.rp_filter = 0
net.ipv4.conf.xgre1000.send_redirects = 0
net.ipv4.conf.xgre1000.promote_secondaries = 1
$ ip -batch -
link set dev xgre1000 up
addr replace 1.1.1.11/24 dev xgre1000 noprefixroute
addr replace 10.0.0.1/24 dev xgre1000 noprefixroute
route replace 10.0.0.7/32 table 100001 proto 201 encap ip id 1000 dst 172.168.0.11 key dev xgre1000 scope link
route replace 1.1.1.7/32 table 100001 proto 201 encap ip id 1000 dst 172.168.0.7 key dev xgre1000 scope link
$ nft -f -
${shareScript("ip xgw_gw1", 0, ["xgre1000"])}net.ipv4.conf.xgre1000.forwarding = 1
`);
});

it("the machine forwards when everything else of the slow path is there", async () => {
  const first = diff(await stateOf(example), nothing);
  const lines = (await added(first)).trimEnd().split("\n");
  const isForwarding = (line: string) => /^net\.ipv4\.(ip_forward|conf\.\w+\.forwarding) = 1$/.test(line);
  expect(lines.findIndex(isForwarding)).toBe(lines.length - lines.filter(isForwarding).length);
  expect(lines).toContain("net.ipv4.ip_forward = 1");
});

describe("the nft script", async () => {
  const wanted = await stateOf(example);

  it("of the first apply makes the table and fills it in one transaction", async () => {
    const text = await added(diff(wanted, nothing));
    const script = text.slice(text.indexOf("$ nft -f -\n"));
    const rules = rulesScript("gw1");
    expect([script.startsWith(`$ nft -f -\n${rules}add flowtable ip xgw_gw1`), script.split("$ nft").length]).toEqual([
      true,
      2,
    ]);
  });

  it("has no table of IPv6 where the kernel has no IPv6, which would take none", async () => {
    kernelHasIpv6 = false;
    await added(diff(wanted, nothing));
    await removeRules("gw1");
    const text = done.join("");
    expect(text.match(/^(?:add |delete )?table ip xgw_gw1/gm)).toHaveLength(5);
    expect(text).not.toContain("table ip6");
  });

  it("of other rules drops the old tables first, in the same transaction, whether they are there or not", async () => {
    const text = await added(diff(wanted, { ...wanted, rules: "0123456789ab" }));
    expect(text.split("\n").slice(0, 6)).toEqual([
      "$ nft -f -",
      "add table ip xgw_gw1",
      "delete table ip xgw_gw1",
      "add table ip6 xgw_gw1",
      "delete table ip6 xgw_gw1",
      "table ip xgw_gw1 {",
    ]);
  });

  it("of other rules adds every element again", async () => {
    const text = await added(diff(wanted, { ...wanted, rules: "0123456789ab" }));
    const commands = text.split("\n").filter((line) => /^add element (?!.*_shares)/.test(line));
    const elements = commands.flatMap((line) => line.replace(/^.*\{ | \}$/g, "").split(", "));
    expect(elements.length).toBe(wanted.elements.size);
  });

  it("names so many elements of a map in a command that one which fails can still be read", async () => {
    const steps = Array.from({ length: 100 }, (_, zone): Step => {
      return { kind: "element.set", element: { set: "segment", key: `${zone}`, value: "1432" }, was: undefined };
    });
    const commands = (await added(steps)).match(/^add element .*$/gm) ?? [];
    expect(commands.map((line) => line.match(/ : /g)?.length)).toEqual([64, 36]);
  });

  const tenantsOfShares = [1, 127, 128, 4000].map(
    (zone): Step => ({ kind: "flowtable.add", flowtable: flowtableOf(zone), device: `xgre${zone}` }),
  );

  it("shares many tenants among flowtables, by their zones", async () => {
    const lines = (await added(tenantsOfShares)).split("\n");
    expect(lines.filter((line) => /^add flowtable/.test(line))).toEqual([
      "add flowtable ip xgw_gw1 fastpath0 { hook ingress priority filter; devices = { xgre1, xgre127 }; }",
      "add flowtable ip xgw_gw1 fastpath1 { hook ingress priority filter; devices = { xgre128 }; }",
      "add flowtable ip xgw_gw1 fastpath31 { hook ingress priority filter; devices = { xgre4000 }; }",
    ]);
  });

  it.each(["fastpath", "forward_range", "shared_to", "inbound", "outbound"])(
    "leads the zones of each share to its part of %s",
    async (part) => {
      const lines = (await added(tenantsOfShares)).split("\n");
      expect(lines.filter((line) => line.startsWith(`add element ip xgw_gw1 ${part}_shares `))).toEqual([
        `add element ip xgw_gw1 ${part}_shares { 0 : jump to_${part}0 }`,
        `add element ip xgw_gw1 ${part}_shares { 128 : jump to_${part}1 }`,
        `add element ip xgw_gw1 ${part}_shares { 3968 : jump to_${part}31 }`,
      ]);
    },
  );

  it.each(["forward_range", "shared_to", "inbound", "outbound"])(
    "has elements of %s in the map of their zone's share",
    async (set) => {
      const elements = [127, 128].map(
        (zone): Step => ({ kind: "element.set", element: { set, key: `${zone} . 1-2`, value: "7" }, was: undefined }),
      );
      expect(await added(elements)).toBe(`$ nft -f -
add element ip xgw_gw1 ${set}0 { 127 . 1-2 : 7 }
add element ip xgw_gw1 ${set}1 { 128 . 1-2 : 7 }
`);
    },
  );

  it("of an instance with a dash names its table without", () => {
    expect(rulesScript("gw-1")).toMatch(/^table ip xgw_gw_1 \{\n/m);
  });
});

it("nothing to do runs nothing", async () => {
  expect(
    await ran(async () => {
      await addSlowPath("gw1", []);
      await removeRoutes([]);
      await removeDevices([]);
      await removeFences("gw1", []);
    }),
  ).toBe("");
});
