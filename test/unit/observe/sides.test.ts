// Which NIC and which VLAN tags a side has; what cannot be served is refused.
import { describe, expect, it } from "vitest";
import type { Link } from "../../../src/kernel/rtnetlink.js";
import type { Desired } from "../../../src/model/desired.js";
import { observeSides } from "../../../src/observe/sides.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

const example = await desiredOf(await exampleText());

function desired(underlay: string, uplink: string | undefined, ...nics: string[]): Desired {
  return {
    ...example,
    underlay: { device: underlay, address: "172.168.0.1" },
    ...(uplink === undefined ? {} : { uplink: { device: uplink, gateway: "203.0.113.1" } }),
    nics: nics.map((name) => ({ name, xdp: "native" })),
  };
}

const nic = (name: string, ifindex: number, mtu = 1500): Link => ({
  ifindex,
  name,
  isUp: true,
  mtu,
  group: 0,
  mac: `02:00:00:00:00:0${ifindex}`,
});

const vlan = (name: string, below: string, id: number, info: Partial<NonNullable<Link["vlan"]>> = {}): Link => ({
  ...nic(name, 9),
  below,
  kind: "vlan",
  vlan: { type: 0x8100, id, mapsPriorities: false, ...info },
});

const refusal = (message: string, remedy?: string) =>
  expect.objectContaining({ exitCode: 3, message, ...(remedy === undefined ? {} : { remedy }) });

it("a NIC is its own", () => {
  expect(observeSides(desired("eth0", undefined, "eth0"), [nic("eth0", 2, 9000)])).toEqual({
    underlay: { mtu: 9000, mac: "02:00:00:00:00:02", nic: { name: "eth0", ifindex: 2 }, tags: [] },
    underlayDevices: [{ name: "eth0", ifindex: 2 }],
    bonds: [],
    bondMembers: [],
  });
});

describe("of a NIC that is a bond", () => {
  const wanted = desired("bond0", undefined, "bond0");
  const member = (name: string, ifindex: number, more: Partial<Link> = {}): Link => ({
    ...nic(name, ifindex),
    master: "bond0",
    ...more,
  });
  const links = [
    { ...nic("bond0", 2), kind: "bond" },
    member("eth0", 3),
    member("eth1", 4, { isBackup: true }),
    member("eth2", 5),
    nic("eth3", 6),
  ];

  it("the members are known by which it takes packets", () => {
    expect(observeSides(wanted, links)).toMatchObject({
      bonds: ["bond0"],
      bondMembers: [
        { name: "eth0", bond: "bond0" },
        { name: "eth2", bond: "bond0" },
      ],
    });
  });

  it("no member runs generic XDP", () => {
    const generic = { ...wanted, nics: [{ name: "bond0", xdp: "generic" as const }] };
    expect(observeSides(generic, links)).toMatchObject({ bonds: [], bondMembers: [] });
  });

  it("a VRF's ports are no members", () => {
    const vrf = { ...nic("bond0", 2), kind: "vrf" };
    expect(observeSides(wanted, [vrf, ...links.slice(1)])).toMatchObject({ bonds: [], bondMembers: [] });
  });
});

describe("tunnelled packets may come in by", () => {
  const eth1 = nic("eth1", 3);
  const names = (wanted: Desired, ...others: Link[]) =>
    observeSides(wanted, [nic("eth0", 2), eth1, ...others]).underlayDevices.map(({ name }) => name);

  it("every NIC with the programs, where the underlay has no tags and there is no uplink", () => {
    expect(names(desired("eth0", undefined, "eth0", "eth1"))).toEqual(["eth0", "eth1"]);
  });

  it("not the uplink's NIC", () => {
    expect(names(desired("eth0", "eth1", "eth0", "eth1"))).toEqual(["eth0"]);
  });

  it("not the NIC that the uplink is a VLAN of", () => {
    expect(names(desired("eth0", "wan", "eth0", "eth1"), vlan("wan", "eth1", 100))).toEqual(["eth0"]);
  });

  it("the NIC that is both sides", () => {
    expect(names(desired("eth0", "eth0", "eth0"))).toEqual(["eth0"]);
  });

  it("the underlay's VLAN alone where it is one: not untagged, nor by another NIC", () => {
    expect(names(desired("lan", undefined, "eth0", "eth1"), vlan("lan", "eth0", 7))).toEqual(["lan"]);
  });
});

it("a VLAN device has the NIC below it, and a tag", () => {
  const links = [nic("eth0", 2), nic("eth1", 3), vlan("wan", "eth1", 100)];
  expect(observeSides(desired("eth0", "wan", "eth0", "eth1"), links).uplink).toEqual({
    mtu: 1500,
    mac: "02:00:00:00:00:09",
    nic: { name: "eth1", ifindex: 3 },
    tags: [0x8100_0064],
  });
});

it("a VLAN over a VLAN has two tags, the outermost first", () => {
  const links = [nic("eth0", 2, 1504), vlan("s", "eth0", 20, { type: 0x88a8 }), vlan("c", "s", 30)];
  expect(observeSides(desired("c", undefined, "eth0"), links).underlay).toMatchObject({
    tags: [0x88a8_0014, 0x8100_001e],
    mtu: 1500,
  });
});

it("what a redirect by the NIC could not carry beside two tags does not count as MTU", () => {
  const links = [nic("eth0", 2), vlan("s", "eth0", 20), vlan("c", "s", 30)];
  expect(observeSides(desired("c", undefined, "eth0"), links).underlay.mtu).toBe(1496);
});

it("a VLAN device that is a NIC itself, for generic XDP, has no tag", () => {
  const links = [nic("eth0", 2), vlan("eth0.5", "eth0", 5)];
  expect(observeSides(desired("eth0.5", undefined, "eth0.5"), links).underlay.tags).toEqual([]);
});

describe("is refused:", () => {
  it("a device that does not exist, with the names that there are", () => {
    expect(() => observeSides(desired("eth0", undefined, "eth0"), [nic("lo", 1), nic("ens3", 2)])).toThrow(
      refusal(
        "there is no network device eth0 in this network namespace",
        "correct the config, or make the device; there are: lo, ens3",
      ),
    );
  });

  it("a side over no NIC of the list", () => {
    const links = [nic("eth0", 2), nic("eth1", 3), vlan("wan", "eth1", 5)];
    expect(() => observeSides(desired("eth0", "wan", "eth0"), links)).toThrow(
      refusal(
        "the uplink device wan is neither listed under `nics` nor a VLAN of a NIC that is",
        "add the NIC to `nics`: { name: eth1, xdp: native }",
      ),
    );
  });

  it("three tags", () => {
    const links = [nic("eth0", 2), vlan("a", "eth0", 1), vlan("b", "a", 2), vlan("c", "b", 3)];
    expect(() => observeSides(desired("c", undefined, "eth0"), links)).toThrow(
      refusal("the underlay device c is neither listed under `nics` nor a VLAN of a NIC that is"),
    );
  });

  it("a VLAN device that sets priorities", () => {
    const links = [nic("eth0", 2), vlan("a", "eth0", 1, { mapsPriorities: true })];
    expect(() => observeSides(desired("a", undefined, "eth0"), links)).toThrow(
      refusal("the VLAN device a maps packets to VLAN priorities, which XDP cannot repeat"),
    );
  });

  it("an uplink device that is down", () => {
    const links = [nic("eth0", 2), { ...nic("eth1", 3), isUp: false }];
    expect(() => observeSides(desired("eth0", "eth1", "eth0", "eth1"), links)).toThrow(
      refusal("the uplink device eth1 is down", "set it up: ip link set dev eth1 up"),
    );
  });
});
