import { describe, expect, it } from "vitest";
import { beside } from "../../../src/tenant/beside.js";

interface Route {
  readonly to: string;
  readonly device?: string;
}
const idOf = ({ to }: Route) => to;

describe("what the config wants beside what the kernel has", () => {
  it("is in the config's order, and what only the kernel has comes last", () => {
    const all = beside<Route>([{ to: "b" }, { to: "a" }], [{ to: "c" }, { to: "a" }], idOf);
    expect(all.map(({ to, isInKernel, isInConfig }) => [to, isInKernel, isInConfig])).toEqual([
      ["b", false, true],
      ["a", true, true],
      ["c", true, false],
    ]);
  });

  it("has what the kernel knows of what is in both", () => {
    expect(beside<Route>([{ to: "a" }], [{ to: "a", device: "xgre7" }], idOf)).toMatchObject([{ device: "xgre7" }]);
  });

  it("has what is listed twice once", () => {
    expect(beside<Route>([{ to: "a" }, { to: "a" }], [], idOf)).toHaveLength(1);
  });

  it("says nothing of a config that nobody knows", () => {
    expect(beside<Route>(undefined, [{ to: "a" }], idOf)).toEqual([{ to: "a", isInKernel: true }]);
  });
});
