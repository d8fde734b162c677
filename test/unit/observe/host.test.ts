import { describe, expect, it } from "vitest";
import type { Link } from "../../../src/kernel/rtnetlink.js";
import { bridgedSides, reachableDevices } from "../../../src/observe/host.js";
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
