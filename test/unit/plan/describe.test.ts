// Every kind of step has words of its own.
import { describe, expect, it } from "vitest";
import { describeStep } from "../../../src/plan/describe.js";
import { signOf } from "../../../src/plan/purpose.js";
import { pinName } from "../../../src/plan/render.js";
import { phaseOrder, type Step } from "../../../src/plan/steps.js";

const vrf = { kind: "vrf", routeTable: 100_001, owner: "xgw/gw1/a" } as const;
const tunnel = { kind: "gre", key: 7, local: "172.168.0.1", vrf: "xvrf7", mtu: 1472, owner: "xgw/gw1/a" } as const;
const route = {
  routeTable: 100_001,
  to: "10.0.0.0/8",
  tunnel: { device: "xgre7", key: 7, via: "172.168.0.7" },
} as const;
const element = { set: "zones", key: "xgre7", value: "1" } as const;
const entry = { map: "endpoints", tenant: 1, prefix: "10.0.0.0/8", via: "172.168.0.7" } as const;
const attachment = {
  device: "eth0",
  hook: "xdp",
  program: "xgw_xdp",
  fingerprint: "f00df00df00d",
  mode: "generic",
} as const;
const neighbour = { device: "xgre7", endpoint: "172.168.0.7" };
const address = { device: "xgre7", address: "10.0.0.1/8" };

const lines: readonly (readonly [Step, string])[] = [
  [{ kind: "device.add", name: "xvrf7", device: vrf }, "+ device xvrf7: vrf, route table 100001"],
  [
    { kind: "device.set", name: "xgre7", device: tunnel, was: tunnel },
    "~ device xgre7: gre, key 7, local 172.168.0.1, mtu 1472, in xvrf7",
  ],
  [
    { kind: "device.replace", name: "xgre7", device: tunnel, was: vrf },
    "~ device xgre7, made anew: gre, key 7, local 172.168.0.1, mtu 1472, in xvrf7",
  ],
  [{ kind: "device.delete", name: "xgre7", device: tunnel }, "- device xgre7"],
  [
    { kind: "rule-order.set", family: "ipv4" },
    "~ ip rules of ipv4: tenants' tables before the gateway's own addresses",
  ],
  [
    { kind: "rule-order.restore", family: "ipv6" },
    "~ ip rules of ipv6: the gateway's own addresses first, as the kernel has it",
  ],
  [{ kind: "sysctl.set", name: "net.a", value: "1", was: undefined }, "~ sysctl net.a = 1"],
  [{ kind: "sysctl.set", name: "net.a", value: "1", was: "2" }, "~ sysctl net.a = 1 (was 2)"],
  [
    { kind: "tag-offload.set", offload: { device: "eth0", feature: "rx-vlan-hw-parse", isOn: false } },
    "~ NIC eth0: rx-vlan-hw-parse off",
  ],
  [{ kind: "address.add", address }, "+ address 10.0.0.1/8 on xgre7"],
  [{ kind: "address.delete", address }, "- address 10.0.0.1/8 on xgre7"],
  [
    { kind: "route.set", route, was: undefined },
    "+ route 10.0.0.0/8 in table 100001: via 172.168.0.7, key 7, dev xgre7",
  ],
  [
    { kind: "route.set", route, was: { routeTable: 100_001, to: "10.0.0.0/8" } },
    "~ route 10.0.0.0/8 in table 100001: via 172.168.0.7, key 7, dev xgre7",
  ],
  [
    { kind: "route.delete", route: { routeTable: 100_001, to: "default" } },
    "- route default in table 100001: unreachable",
  ],
  [
    { kind: "route.delete", route: { routeTable: 100_001, to: "default", metric: 4_294_967_295 } },
    "- route default in table 100001: unreachable, when nothing else is left",
  ],
  [
    {
      kind: "route.delete",
      route: { routeTable: 100_001, to: "default", uplink: { device: "eth1", via: "203.0.113.1" } },
    },
    "- route default in table 100001: via 203.0.113.1, dev eth1",
  ],
  [{ kind: "neighbour.set", neighbour }, "+ neighbour 172.168.0.7 on xgre7"],
  [{ kind: "neighbour.delete", neighbour }, "- neighbour 172.168.0.7 on xgre7"],
  [{ kind: "rules.set", was: "" }, "+ nft rules"],
  [{ kind: "rules.delete" }, "- nft rules"],
  [{ kind: "rules.set", was: "0123" }, "~ nft rules (were version 0123)"],
  [{ kind: "rules.set", was: "damaged" }, "~ nft rules (somebody has changed them)"],
  [{ kind: "rules.delete" }, "- nft rules"],
  [{ kind: "flowtable.delete", flowtable: "fastpath1", device: "xgre7" }, "- device xgre7 in flowtable fastpath1"],
  [{ kind: "flowtable.add", flowtable: "fastpath1", device: "xgre7" }, "+ device xgre7 in flowtable fastpath1"],
  [{ kind: "element.set", element, was: undefined }, "+ nft zones: xgre7 : 1"],
  [{ kind: "element.set", element, was: { ...element, value: "2" } }, "~ nft zones: xgre7 : 1"],
  [{ kind: "element.delete", element }, "- nft zones: xgre7"],
  [
    { kind: "connections.revoke", tenant: 1, all: false },
    "> connections of tenant 1 end where they are no longer admitted",
  ],
  [{ kind: "connections.revoke", tenant: 1, all: true }, "> connections of tenant 1 end"],
  [{ kind: "map.pin", map: "flows" }, "+ pin of map flows"],
  [
    { kind: "map.move", map: "flows", why: "entries 256, now 512" },
    "~ map flows becomes another one, with what is in it (entries 256, now 512)",
  ],
  [{ kind: "datapath.load", fingerprint: "f00d" }, "+ programs f00d"],
  [{ kind: "datapath.unload", fingerprint: "f00d" }, "- programs f00d"],
  [{ kind: "entry.set", entry, was: undefined }, "+ map endpoints 1 10.0.0.0/8 : 172.168.0.7"],
  [{ kind: "entry.set", entry, was: entry }, "~ map endpoints 1 10.0.0.0/8 : 172.168.0.7"],
  [{ kind: "entry.delete", entry }, "- map endpoints 1 10.0.0.0/8"],
  [
    { kind: "attach", name: "xdp_eth0", attachment, was: undefined },
    "+ attach xgw_xdp (f00df00df00d) to eth0, xdp generic",
  ],
  [{ kind: "detach", name: "xdp_eth0", attachment }, "- attachment xdp_eth0"],
  [{ kind: "generation.bump", tenant: 4 }, "> generation of tenant 4: its flows are decided anew"],
];

describe("a step in words", () => {
  for (const [step, line] of lines) it(line, () => expect(describeStep(step)).toBe(line));

  it("begins with the sign of the step", () => {
    for (const [step, line] of lines) expect([line, signOf(step)]).toEqual([line, line[0]]);
  });

  it("is tried here for every kind there is", () => {
    expect(new Set(lines.map(([{ kind }]) => kind))).toEqual(new Set(phaseOrder));
  });
});

describe("a pin's name", () => {
  it("is what the program does and where", () => expect(pinName("xdp", "eth0")).toBe("xdp_eth0"));

  it("has no dots, which bpffs refuses", () => expect(pinName("xdp", "eth0.100")).toBe("xdp_eth0~100"));

  it("of two devices are two, dots or not", () => {
    expect(pinName("xdp", "a.b")).not.toBe(pinName("xdp", "a_b"));
  });
});
