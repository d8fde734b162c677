import { describe, expect, it } from "vitest";
import { noTiers } from "../../../src/datapath/accounting.js";
import { ratesBetween } from "../../../src/top/rates.js";
import type { Sample, TenantSample } from "../../../src/top/sample.js";

const tenant = (fields: Partial<TenantSample>): TenantSample => ({
  ...{ name: "user1", key: 1000, id: 1, forwarded: noTiers, dropped: 0 },
  ...{ sessions: 0, sessionsLimit: 0, flows: 0, flowsShare: 0 },
  ...fields,
});
/** @param seconds of the monotonic clock */
const sample = (seconds: number, ...tenants: TenantSample[]): Sample => ({
  ...{ at: 0, clock: 1000 * seconds, instance: "gw1", tenants },
  ...{ conntrack: { entries: 0, max: 1 }, flowTable: { used: 0, lines: 1 } },
});
const carried = (packets: number, bytes: number) => ({ ...noTiers, xdp: { packets, bytes } });

describe("rates", () => {
  it("are per second of what came between two looks, bytes as bits", () => {
    const before = sample(10, tenant({ forwarded: carried(100, 1000), dropped: 7 }));
    const after = sample(12, tenant({ forwarded: carried(140, 3000), dropped: 8 }));
    const [row] = ratesBetween(before, after).tenants;
    expect(row).toMatchObject({ xdp: { packetsPerSecond: 20, bitsPerSecond: 8000 }, droppedPerSecond: 0.5 });
  });

  it("of a tenant that is new are nothing, whatever it has counted", () => {
    const [row] = ratesBetween(sample(0), sample(1, tenant({ forwarded: carried(5000, 1), dropped: 9 }))).tenants;
    expect(row).toMatchObject({ xdp: { packetsPerSecond: 0 }, droppedPerSecond: 0 });
  });

  it("of counters that began anew are nothing, never less", () => {
    const before = sample(0, tenant({ forwarded: carried(5000, 1000) }));
    const [row] = ratesBetween(before, sample(1, tenant({ forwarded: carried(10, 10) }))).tenants;
    expect(row?.xdp).toEqual({ packetsPerSecond: 0, bitsPerSecond: 0 });
  });

  it("of a tenant that has got another's id are nothing", () => {
    const before = sample(0, tenant({ key: 7 }));
    const [row] = ratesBetween(before, sample(1, tenant({ forwarded: carried(10, 10) }))).tenants;
    expect(row?.xdp.packetsPerSecond).toBe(0);
  });

  it("add up over all tenants", () => {
    const [one, two] = [tenant({}), tenant({ id: 2, key: 2000, name: "user2" })];
    const grown = { forwarded: carried(10, 100), dropped: 4 };
    const { total } = ratesBetween(sample(0, one, two), sample(1, { ...one, ...grown }, { ...two, ...grown }));
    expect(total).toMatchObject({ xdp: { packetsPerSecond: 20, bitsPerSecond: 1600 }, droppedPerSecond: 8 });
  });

  it("leave out sessions that nobody counts", () => {
    const [row] = ratesBetween(sample(0), sample(1, tenant({ sessions: undefined }))).tenants;
    expect(row).not.toHaveProperty("sessions");
  });
});
