// How much of the kernel's own tables is promised, and to whom.
import { describe, expect, it } from "vitest";
import { kernelTables, poolsOf, promisedOf, roomsOf } from "../../../src/model/kernel-tables.js";
import { type Limits, noLimits, sharesOf } from "../../../src/model/shares.js";

const capacities = { ...noLimits, sessions: 10_000, neighbours: 1000 };
const tenants = (...limits: Partial<Limits>[]) => limits.map((some) => ({ limits: { ...noLimits, ...some } }));
const silent = (count: number) => tenants(...Array.from({ length: count }, () => ({})));
const shares = (...limits: Partial<Limits>[]) => sharesOf(capacities, tenants(...limits));

/** The most that tenants can have at one time, by the rule of bpf/lib/limits.h. */
function mostAtOneTime(all: ReturnType<typeof tenants>): number {
  const share = sharesOf(capacities, all).sessions;
  const promised = all.reduce((sum, { limits }) => sum + (limits.sessions || share), 0);
  return all.length === 1 ? promised : poolsOf(capacities).sessions + promised;
}

describe("a tenant's share of the kernel's tables", () => {
  it("is all that there is for a tenant that is alone", () => {
    expect(shares({})).toMatchObject({ sessions: 10_000, neighbours: 1000 });
  });

  it("is an equal part of the half that is not anybody's", () => {
    expect(shares({}, {}, {}, {})).toMatchObject({ sessions: 1250, neighbours: 125 });
  });

  it("is of what others leave, who have a number of their own", () => {
    expect(shares({ sessions: 3000 }, {}, {}).sessions).toBe(1000);
  });

  it("is never less than the floor", () => {
    expect(shares({ sessions: 1_000_000 }, {}).sessions).toBe(kernelTables.sessions.floor);
    expect(sharesOf(capacities, silent(8000)).neighbours).toBe(kernelTables.neighbours.floor);
  });
});

describe("what is promised", () => {
  it.each([
    ["one tenant", silent(1)],
    ["a few", silent(7)],
    ["so many that each has the floor", silent(8000)],
    ["numbers that add up to more than there is", tenants({ sessions: 9000 }, { sessions: 9000 }, {})],
  ])("is as much as tenants can have at one time: %s", (_, all) => {
    const { sessions } = promisedOf(capacities, sharesOf(capacities, all), all);
    expect(sessions).toBeGreaterThanOrEqual(mostAtOneTime(all));
  });

  it("has a bound, whatever the numbers, and keeps every tenant's share within it", () => {
    const all = tenants(...Array.from({ length: 8000 }, (_, at) => (at % 2 ? { sessions: 4_294_967_295 } : {})));
    const share = sharesOf(capacities, all).sessions;
    const { sessions } = promisedOf(capacities, sharesOf(capacities, all), all);
    expect(sessions).toBe(kernelTables.sessions.most);
    expect(roomsOf(capacities).sessions + share * all.length).toBeLessThanOrEqual(sessions);
  });

  it("stays as it is when one tenant more shares what there is", () => {
    const promised = (count: number) => {
      const all = silent(count);
      return promisedOf(capacities, sharesOf(capacities, all), all);
    };
    expect(promised(30)).toEqual(promised(31));
  });
});
