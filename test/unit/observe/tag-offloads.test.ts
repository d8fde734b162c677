// On which NICs VLAN tags must be seen, and what is said where they cannot be.
import { describe, expect, it } from "vitest";
import { findingText } from "../../../src/finding.js";
import type { Link } from "../../../src/kernel/rtnetlink.js";
import type { Desired, DesiredNic } from "../../../src/model/desired.js";
import { tagFindings, wantedTags } from "../../../src/observe/tag-offloads.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

const example = await desiredOf(await exampleText());
const desired = (name: string, xdp: DesiredNic["xdp"] = "native"): Desired => ({ ...example, nics: [{ name, xdp }] });
const link = (name: string, more: Partial<Link> = {}): Link => ({
  ifindex: 2,
  name,
  isUp: true,
  mtu: 1500,
  group: 0,
  ...more,
});
const vlan = (name: string, below: string, type = 0x8100) =>
  link(name, { below, kind: "vlan", vlan: { id: 7, type, mapsPriorities: false } });
const bond = [
  link("bond0", { kind: "bond" }),
  link("eth0", { master: "bond0" }),
  link("eth1", { master: "bond0", isBackup: true }),
];
const q = { feature: "rx-vlan-hw-parse" };

describe("tags are to be seen on", () => {
  it("a NIC with VLANs, by the type of theirs", () => {
    const links = [link("eth0"), vlan("eth0.5", "eth0"), vlan("eth0.6", "eth0"), vlan("s", "eth0", 0x88a8)];
    expect(wantedTags(desired("eth0"), links)).toEqual([
      { device: "eth0", ...q },
      { device: "eth0", feature: "rx-vlan-stag-hw-parse" },
    ]);
  });

  it("no NIC without VLANs: not by those of another, nor by those of a VLAN", () => {
    const links = [link("eth0"), link("eth1"), vlan("eth1.5", "eth1"), vlan("eth1.5.6", "eth1.5")];
    expect(wantedTags(desired("eth0"), links)).toEqual([]);
  });

  it("all members of a bond with VLANs", () => {
    expect(wantedTags(desired("bond0"), [...bond, vlan("bond0.5", "bond0")])).toEqual([
      { device: "eth0", ...q },
      { device: "eth1", ...q },
    ]);
  });
});

describe("it is said that XDP sees no tags", () => {
  it("on a NIC that cannot leave them in", () => {
    const eth0 = { device: "eth0", feature: "rx-vlan-hw-parse", isOn: true, isChangeable: false } as const;
    expect(tagFindings(desired("eth0"), [], [eth0]).map(findingText)).toEqual([
      expect.stringMatching(/^XDP does not see VLAN tags on NIC eth0, which has rx-vlan-hw-parse on/),
    ]);
  });

  it("by generic XDP behind a bond", () => {
    expect(tagFindings(desired("bond0", "generic"), [...bond, vlan("bond0.5", "bond0")], []).map(findingText)).toEqual([
      expect.stringMatching(/^XDP does not see VLAN tags on NIC bond0, which is a bond with generic XDP/),
    ]);
  });

  it("not where it can be turned off, nor of a bond without VLANs", () => {
    const eth0 = { device: "eth0", feature: "rx-vlan-hw-parse", isOn: true, isChangeable: true } as const;
    expect(tagFindings(desired("bond0", "generic"), bond, [eth0])).toEqual([]);
  });
});
