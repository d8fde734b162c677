// Which NICs XDP may redirect to, and what is said of the others.
import { describe, expect, it } from "vitest";
import { redirectTargets as observed, txIsRedirect } from "../../../src/datapath/redirect-targets.js";
import { findingText } from "../../../src/finding.js";
import type { Link } from "../../../src/kernel/rtnetlink.js";
import type { Desired, DesiredNic } from "../../../src/model/desired.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

const example = await desiredOf(await exampleText());
const desired = (...modes: DesiredNic["xdp"][]): Desired => ({
  ...example,
  nics: modes.map((xdp, n) => ({ name: `eth${n}`, xdp })),
});
/** eth0, eth1, …: `undefined` for a real NIC. */
const links = (...kinds: (string | undefined)[]): Link[] =>
  kinds.map((kind, n) => ({ ifindex: n + 2, name: `eth${n}`, isUp: true, mtu: 1500, group: 0, kind }));

/** With what is said of those that are none. */
function redirectTargets(...args: Parameters<typeof observed>) {
  const { targets, findings } = observed(...args);
  return { targets, warnings: findings.map(findingText) };
}

const [can, cannot] = [0x7n, 0x3n];
/** Of drivers that say that they can, each running its program. */
const saying =
  (...flags: bigint[]) =>
  (nic: string) => ({ featureFlags: flags[Number(nic.slice(3))] ?? 0n, mode: "native" as const });

describe("is no target, and that is said:", () => {
  it("of two NICs the one whose driver cannot send", () => {
    expect(redirectTargets(desired("native", "native"), links(undefined, undefined), saying(can, cannot))).toEqual({
      targets: ["eth0"],
      warnings: [expect.stringMatching(/^NIC eth1 does not send .* left to the kernel; .*`xdp: generic` for all/)],
    });
  });

  it("one with generic XDP, which its driver knows nothing of, beside a native one", () => {
    const seen = redirectTargets(desired("native", "generic"), links(undefined, undefined), saying(can, cannot));
    expect(seen).toEqual({ targets: ["eth0"], warnings: [expect.stringMatching(/`xdp: native` for it/)] });
  });

  it("a veth alone, whose peer takes nothing from XDP", () => {
    expect(redirectTargets(desired("native"), links("veth"), saying(cannot))).toEqual({
      targets: [],
      warnings: [expect.stringMatching(/^NIC eth0 .*; ethtool -K PEER gro on # at its peer/)],
    });
  });

  it("a veth that runs no program yet: it is its peer that counts", () => {
    const seen = redirectTargets(desired("native"), links("veth"), () => ({ featureFlags: cannot }));
    expect(seen.targets).toEqual([]);
  });

  it("a bond alone, of a member that cannot", () => {
    expect(redirectTargets(desired("native"), links("bond"), saying(cannot)).targets).toEqual([]);
  });
});

describe("is a target:", () => {
  it("a NIC alone, by which nothing is redirected", () => {
    expect(redirectTargets(desired("native"), links(undefined), saying(cannot))).toEqual({
      targets: ["eth0"],
      warnings: [],
    });
  });

  it("every NIC where all have generic XDP", () => {
    const seen = redirectTargets(desired("generic", "generic"), links(undefined, "veth"), saying(cannot, cannot));
    expect(seen).toEqual({ targets: ["eth0", "eth1"], warnings: [] });
  });

  it("one that runs no program yet, for many drivers can only then", () => {
    const fresh = () => ({ featureFlags: cannot });
    const seen = redirectTargets(desired("native", "native"), links(undefined, undefined), fresh);
    expect(seen).toEqual({ targets: ["eth0", "eth1"], warnings: [] });
  });
});

it("what comes in by a veth or a bond, and leaves by it, is sent as by a redirect", () => {
  expect([
    txIsRedirect(desired("native"), links(undefined)),
    txIsRedirect(desired("native", "native"), links(undefined, "bond")),
    txIsRedirect(desired("native"), links("veth")),
    txIsRedirect(desired("generic"), links("veth")),
  ]).toEqual([false, true, true, false]);
});
