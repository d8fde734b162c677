import { expect, it } from "vitest";
import { diff } from "../../../src/plan/diff.js";
import { leavingTenants } from "../../../src/plan/leaving.js";
import type { Entry } from "../../../src/plan/state.js";
import type { Step } from "../../../src/plan/steps.js";
import { exampleText, nothing, stateOf } from "./fixture.js";

const both = await stateOf(await exampleText());
const tenantEntry = (id: number) =>
  [...both.entries.values()].find((entry) => entry.map === "tenants" && entry.value.id === id) as Entry;
const leaving = (steps: readonly Step[], wanted: Iterable<Entry>) => [...leavingTenants(steps, wanted)].sort();

it("nobody leaves when tenants come", () => {
  expect(leaving(diff(both, nothing), both.entries.values())).toEqual([]);
});

it("all leave when everything goes", () => {
  expect(leaving(diff(nothing, both), [])).toEqual([1, 2]);
});

it("a tenant leaves whose devices somebody has deleted already", () => {
  const without = { ...both, devices: new Map() };
  expect(leaving(diff(nothing, without), [])).toEqual([1, 2]);
});

it("a tenant leaves of which only the devices are left", () => {
  const without = { ...both, entries: new Map() };
  expect(leaving(diff(nothing, without), [])).toEqual([1, 2]);
});

it("a tenant stays whose id goes on under another key", () => {
  const steps: readonly Step[] = [{ kind: "entry.delete", entry: tenantEntry(1) }];
  expect([leaving(steps, []), leaving(steps, [tenantEntry(1)])]).toEqual([[1], []]);
});
