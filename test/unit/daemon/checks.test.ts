// Who is over the budget waits; who is named in the same breath does not, nor does everybody when many have waited.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Checks } from "../../../src/daemon/checks.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tenantsMax = 64;
const elements = new Map([["dnat_to", new Set(["1 . 2.2.2.11", "2 . 2.2.2.12"])]]);
const of = (...tenants: number[]) => ({ tenants: new Set(tenants), elements });
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at);

/** One in which these have been looked at so often, some at a time, that they have just spent their budget. */
function checksAfter(...spent: number[][]) {
  const told = { arrived: 0, putOff: 0 };
  const checks = new Checks(
    tenantsMax,
    () => told.arrived++,
    () => told.putOff++,
  );
  for (let times = 0; times < 10; times++)
    for (const some of spent) {
      checks.add(["device"], of(...some));
      checks.take();
    }
  expect(told.putOff).toBe(0);
  return { checks, told };
}

describe("a look at several tenants, of whom one is over the budget", () => {
  it("is at once at the others, and at that one later", () => {
    const { checks, told } = checksAfter([1]);
    checks.add(["nft element"], of(1, 2, 3));
    expect(checks.dueMs).toBeLessThanOrEqual(performance.now() + 100);
    expect(checks.take()).toMatchObject({ why: ["nft element"], scope: of(2, 3) });
    expect([checks.isEmpty, checks.dueMs]).toEqual([false, Number.POSITIVE_INFINITY]);
    vi.advanceTimersByTime(1000);
    expect(checks.take()).toMatchObject({ why: ["nft element"], scope: of(1) });
    expect([checks.isEmpty, told]).toEqual([true, { arrived: 1, putOff: 1 }]);
  });
});

describe("looks that were put off", () => {
  it("are of everything together with those at too many others", () => {
    const { checks } = checksAfter(numbers(1, 40));
    checks.add(["route"], of(...numbers(1, 40)));
    checks.add(["address"], of(...numbers(101, 40)));
    vi.advanceTimersByTime(1000);
    expect(checks.take()).toMatchObject({ why: ["address", "route"], scope: undefined });
    expect(checks.isEmpty).toBe(true);
  });

  it("are of everything when they come to too many by themselves", () => {
    const { checks, told } = checksAfter(numbers(1, 60), numbers(101, 40));
    checks.add(["route"], of(...numbers(1, 60)));
    checks.add(["address"], of(...numbers(101, 40)));
    expect([checks.dueMs, told.putOff]).toEqual([Number.POSITIVE_INFINITY, 1]);
    vi.advanceTimersByTime(1000);
    expect(checks.take()).toMatchObject({ why: ["route", "address"], scope: undefined });
  });

  it("are of these tenants when they are not too many", () => {
    const { checks } = checksAfter(numbers(1, 60));
    checks.add(["route"], of(...numbers(1, 60)));
    vi.advanceTimersByTime(1000);
    expect(checks.take()).toMatchObject({ why: ["route"], scope: of(...numbers(1, 60)) });
  });
});
