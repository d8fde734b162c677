// How much of the kernel's own tables is promised, and to whom.
import { describe, expect, it } from "vitest";
import { buildDesired } from "../../../src/model/build.js";
import { kernelTables, poolsOf, promisedOf, roomsOf } from "../../../src/model/kernel-tables.js";
import { type Limits, noLimits, sharesOf } from "../../../src/model/shares.js";
import { tableSysctls } from "../../../src/plan/sysctls.js";
import { configOf, head, load, tenant } from "../config/fixture.js";

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

  it("is what the kernel takes, also where the config says that there is as much as may be", async () => {
    const config = (sessions: number) =>
      `${head.replace("tenants:", `limits: { sessions: ${sessions}, neighbours: 262144 }\ntenants:`)}${tenant(
        "a",
        1,
        "limits: { sessions: 4294967295, neighbours: 4294967295 }",
      )}${tenant("b", 2)}`;
    const { config: largest } = await configOf({ "xgw.yaml": config(268_435_456) });
    const sysctls = new Map(tableSysctls(buildDesired(largest)));
    const numberOf = (name: string) => Number(sysctls.get(name));
    expect(numberOf("net.netfilter.nf_conntrack_max")).toBe(2 ** 29 + kernelTables.sessions.reserve);
    for (const name of sysctls.keys()) expect(numberOf(name), name).toBeLessThan(2 ** 31);
    expect(8 * numberOf("net.netfilter.nf_conntrack_buckets")).toBeLessThan(2 ** 32 - 4096);
    expect((await load({ "xgw.yaml": config(268_435_457) })).errors).toEqual([
      expect.stringMatching(/limits\.sessions: .*268435456/),
    ]);
  });

  it("stays as it is when one tenant more shares what there is", () => {
    const promised = (count: number) => {
      const all = silent(count);
      return promisedOf(capacities, sharesOf(capacities, all), all);
    };
    expect(promised(30)).toEqual(promised(31));
  });
});
