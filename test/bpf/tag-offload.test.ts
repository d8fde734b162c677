// Whether a NIC hides VLAN tags from XDP, asked and set by the kernel's own interface.
import { execFileSync } from "node:child_process";
import { beforeEach, expect, it } from "vitest";
import { readTagOffloads, setTagOffload } from "../../src/kernel/tag-offload.js";
import type { TagFeature } from "../../src/plan/state.js";
import { netNamespace, type TestNamespace } from "../native/support/kernel.js";

let namespace: TestNamespace;
beforeEach(() => {
  namespace = netNamespace();
});

const [q, ad] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"] as const;
const set = (feature: TagFeature, isOn: boolean) =>
  namespace.inside(() => setTagOffload({ device: "v0", feature, isOn }));
/** As ethtool says it of v0, by its own names. */
const features = () =>
  execFileSync("ip", ["netns", "exec", namespace.name, "ethtool", "-k", "v0"], { encoding: "utf8" }).split("\n");

it("what a NIC does is read", () => {
  expect(namespace.inside(() => readTagOffloads(["v0"]))).toEqual([
    { device: "v0", feature: q, isOn: true, isChangeable: true },
    { device: "v0", feature: ad, isOn: true, isChangeable: true },
  ]);
});

it("one is turned off, and nothing else", () => {
  const before = features();
  set(q, false);
  const changed = features().filter((line) => !before.includes(line));
  expect(changed).toEqual(["rx-vlan-offload: off"]);
});

it("one is turned on again", () => {
  const before = features();
  set(ad, false);
  set(ad, true);
  expect(features()).toEqual(before);
});

it("a NIC that has neither hides nothing", () => {
  expect(namespace.inside(() => readTagOffloads(["lo"]))).toEqual([]);
});

it("of a NIC that is not there it is said so", () => {
  expect(() => namespace.inside(() => setTagOffload({ device: "v9", feature: q, isOn: false }))).toThrow(
    /NIC v9 does not let rx-vlan-hw-parse be turned off/,
  );
});
