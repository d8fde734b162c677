// What is left for a tenant whose limits say nothing.
import { describe, expect, it } from "vitest";
import { type Limits, noLimits, sharesOf } from "../../../src/model/shares.js";

const capacities = { ...noLimits, flows: 1000, rules: 100 };
const tenants = (...limits: Partial<Limits>[]) => limits.map((some) => ({ limits: { ...noLimits, ...some } }));

describe("the shares of what there is", () => {
  it("are equal", () => {
    expect(sharesOf(capacities, tenants({}, {}, {}, {}))).toEqual({ ...noLimits, flows: 250, rules: 25 });
  });

  it("are of what those leave that have a number of their own", () => {
    expect(sharesOf(capacities, tenants({ flows: 400 }, {}, {})).flows).toBe(300);
  });

  it("are no limit to a tenant that is alone", () => {
    expect(sharesOf(capacities, tenants({}))).toEqual(noLimits);
  });

  it("leave a pool of new connections out, which is anybody's, and are a limit to a tenant that is alone, too", () => {
    const rates = { ...noLimits, newPerSecond: 1000 };
    expect(sharesOf(rates, tenants({}, {}, { newPerSecond: 100 }), 500).newPerSecond).toBe(200);
    expect(sharesOf(rates, tenants({}), 500).newPerSecond).toBe(500);
  });

  it("are never 0, which would be no limit", () => {
    const many = tenants(...Array.from({ length: 500 }, () => ({})));
    expect(sharesOf(capacities, many)).toMatchObject({ flows: 2, rules: 1 });
    expect(sharesOf(capacities, tenants({ flows: 1000 }, {})).flows).toBe(1);
  });
});
