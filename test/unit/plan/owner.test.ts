import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { groupBit, groupOf } from "../../../src/plan/owner.js";

it("the programs know instances' devices by the same bit of their group", () => {
  const header = readFileSync(new URL("../../../bpf/shared.h", import.meta.url), "utf8");
  expect(Number(/#define XGW_GROUP (0x[0-9a-f]+)/.exec(header)?.[1])).toBe(groupBit);
});

it("an instance's group is its own, and no bit of it is the sign of a number", () => {
  const groups = ["gw1", "gw2", "default"].map(groupOf);
  expect([new Set(groups).size, groups.filter((group) => group < groupBit || group >= 2 * groupBit)]).toEqual([3, []]);
});
