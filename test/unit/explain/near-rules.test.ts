import { expect, it } from "vitest";
import { nearRules } from "../../../src/explain/near-rules.js";
import { anyAddress } from "../../../src/model/ipv4.js";
import { anyPort, anyProtocol, type PolicyRule } from "../../../src/model/policy.js";

const one = (number: number) => ({ from: number, to: number });
const rule = (changes: Partial<PolicyRule>): PolicyRule => ({
  ...{ verdict: "allow", protocol: one(6), address: anyAddress, ports: [anyPort] },
  ...changes,
});
const judged = { protocol: 6, address: "192.0.2.9", port: 22 };

it("a rule that misses in one thing is near, and says in which", () => {
  const office = { from: 0x0a000000, to: 0x0a0000ff };
  const rules = [rule({ ports: [one(23)] }), rule({ address: office }), rule({ protocol: one(17) })];
  expect(nearRules(rules, judged, undefined).map(({ rule, why }) => [rule, why])).toEqual([
    [0, "port 22 is not one of its ports"],
    [1, "192.0.2.9 is not in 10.0.0.0-10.0.0.255"],
    [2, "it is of another protocol than 6"],
  ]);
});

it("a rule that would fit but comes later is the nearest", () => {
  const rules = [rule({ ports: [one(23)] }), rule({ verdict: "deny" }), rule({ protocol: anyProtocol })];
  expect(nearRules(rules, judged, 1)).toMatchObject([{ rule: 2, why: "it fits, but rule 1 comes first" }, { rule: 0 }]);
});

it("a rule that misses in two things is not near", () => {
  expect(nearRules([rule({ protocol: one(17), ports: [one(53)] })], judged, undefined)).toEqual([]);
});

it("the one that decides is not near, and there are so many at most", () => {
  const rules = Array.from({ length: 9 }, () => rule({ ports: [one(80)] }));
  expect(nearRules(rules, judged, 0).map(({ rule }) => rule)).toEqual([1, 2, 3]);
});

it("a rule that fits where none decides is the config's only", () => {
  expect(nearRules([rule({})], judged, undefined)).toMatchObject([{ why: "it fits, but is not in force (xgw plan)" }]);
});
