import { describe, expect, it } from "vitest";
import { findingText } from "../../../src/finding.js";
import type { Link } from "../../../src/kernel/rtnetlink.js";
import { bridgedSides, overridingFindings, reachableDevices } from "../../../src/observe/host.js";
import { ownerOf } from "../../../src/plan/owner.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

const link = (name: string, more: Partial<Link> = {}): Link => ({
  ifindex: 1,
  name,
  isUp: true,
  mtu: 1500,
  group: 0,
  ...more,
});

describe("devices that a machine that begins to forward lets others reach", async () => {
  const desired = await desiredOf(await exampleText());
  const reached = (links: readonly Link[], addressed = links) =>
    reachableDevices(
      desired,
      links,
      addressed.map(({ name: device }) => ({ device })),
    );

  it("are those with an address", () => {
    expect(reached([link("mgmt0"), link("docker0"), link("dummy0")], [link("mgmt0"), link("docker0")])).toEqual([
      "mgmt0",
      "docker0",
    ]);
  });

  it("are not the sides, the gateway's own, the loopback, nor what is in a VRF", () => {
    const vrf = { kind: "vrf", vrf: { routeTable: 7 } };
    const own = { alias: ownerOf(desired.instance, "user1") };
    const links = [
      link("eth0"),
      link("lo"),
      link("blue", vrf),
      link("eth5", { master: "blue" }),
      link("xgre1000", own),
    ];
    expect(reached(links)).toEqual([]);
  });

  it("are ports of a bridge as far as they have addresses themselves", () => {
    expect(reached([link("br0"), link("eth7", { master: "br0" })])).toEqual(["br0", "eth7"]);
  });
});

it("names the sides that are bridges, and no other bridge", async () => {
  const desired = await desiredOf(await exampleText());
  const links = [link("eth0", { kind: "bridge" }), link("docker0", { kind: "bridge" }), link("eth1")];
  expect(bridgedSides(desired, links)).toEqual(["eth0"]);
});

describe("settings for all devices", () => {
  const said = (name: string, value: string) =>
    overridingFindings((asked) => (asked === `net.ipv4.conf.all.${name}` ? value : "0"));

  it("are nothing to be said where they leave it to each device", () => {
    expect(said("rp_filter", "0")).toEqual([]);
  });

  it.each([
    ["rp_filter", "1", /rp_filter is 1: what comes out of a tunnel .* sysctl net\.ipv4\.conf\.all\.rp_filter=0/],
    ["rp_filter", "2", /rp_filter is 2: what comes out of a tunnel/],
    ["arp_ignore", "8", /arp_ignore is 8: the gateway answers nobody/],
  ])("%s of %s is said, with what it does and what to do", (name, value, words) => {
    const warnings = said(name, value);
    expect(warnings).toHaveLength(1);
    expect(warnings.map(findingText)[0]).toMatch(words);
  });

  it("that do no harm, such as arp_ignore of 1, are not said", () => {
    expect(said("arp_ignore", "1")).toEqual([]);
  });
});
