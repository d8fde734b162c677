// How large the kernel's memory for fragments becomes.
import { expect, it } from "vitest";
import { fragmentLimits, fragmentMemoryFor } from "../../../src/model/fragments.js";

it.each([0, 1, 2, 32, 33, 1000, 8191])(
  "each has its share when everybody takes all that there is: %i tenants",
  (count) => {
    const { pool, share, nicShare } = fragmentLimits;
    const taken = 2 * (share * count + nicShare * 2); // a NIC for each side
    expect(fragmentMemoryFor(count) - pool).toBeGreaterThanOrEqual(taken);
    expect(fragmentMemoryFor(count)).toBeLessThanOrEqual(1.1 * 2 ** 30);
  },
);

it("stays as it is when one tenant more comes", () => expect(fragmentMemoryFor(33)).toBe(fragmentMemoryFor(34)));

it("is more for more tenants", () => expect(fragmentMemoryFor(33)).toBeGreaterThan(fragmentMemoryFor(32)));
