// Whose tables come first, and what stands in front, judged from the kernel's rules.
import { describe, expect, it, vi } from "vitest";
import { type RoutingRule, ruleOrderOf, rulesInFront } from "../../../src/kernel/routing-rules.js";

vi.mock("../../../src/kernel/rtnetlink.js", () => ({}));

const rule = (preference: number, kind: RoutingRule["kind"], more: Partial<RoutingRule> = {}): RoutingRule => ({
  preference,
  kind,
  protocol: 2,
  table: kind === "local" ? 255 : 254,
  ...more,
});
const main = rule(32_766, "other");
const l3mdev = rule(1000, "l3mdev");

describe("the order of the rules", () => {
  it.each<[string, RoutingRule[], string]>([
    ["that the kernel makes is the kernel's", [rule(0, "local"), l3mdev, main], "kernel's"],
    ["with the local table behind l3mdev is tenants first", [l3mdev, rule(32_765, "local"), main], "tenants first"],
    ["without a rule for VRFs is the kernel's", [rule(32_765, "local"), main], "kernel's"],
    ["with the local table behind main is not right", [l3mdev, main, rule(40_000, "local")], "kernel's"],
    [
      "with the local table once more behind main is tenants first",
      [l3mdev, rule(32_765, "local"), main, rule(40_000, "local")],
      "tenants first",
    ],
    ["without a local table is not right", [l3mdev, main], "kernel's"],
    [
      "with the local table twice counts by the first",
      [rule(0, "local"), l3mdev, rule(32_765, "local"), main],
      "kernel's",
    ],
    [
      "with l3mdev behind the main table is not right",
      [main, rule(40_000, "l3mdev"), rule(50_000, "local")],
      "kernel's",
    ],
  ])("%s", (_what, rules, order) => expect(ruleOrderOf(rules)).toBe(order));
});

describe("in front of tenants' tables stands", () => {
  const inFront = (...first: RoutingRule[]) =>
    rulesInFront([...first, l3mdev, rule(32_765, "local"), main], (device) => device === "xgre1000").map(
      ({ preference }) => preference,
    );

  it("nothing, as a rule", () => expect(inFront()).toEqual([]));
  it("a rule for all packets", () => expect(inFront(rule(50, "other"))).toEqual([50]));
  it("a rule for a tenant's device", () => expect(inFront(rule(50, "other", { input: "xgre1000" }))).toEqual([50]));
  it("no rule for another device", () => expect(inFront(rule(50, "other", { input: "eth1" }))).toEqual([]));
  it("no rule for the host's own sockets", () => expect(inFront(rule(50, "other", { output: "eth1" }))).toEqual([]));
  it("no local table, which xgw moves", () => expect(inFront(rule(0, "local"))).toEqual([]));
});
