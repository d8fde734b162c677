// Nobody reaches whom the config does not let them, in a small number of packets; `npm run test:attack` takes as many as you
// like. And it is seen when a gateway is no boundary.
import { beforeAll, describe, expect, it } from "vitest";
import { type AttackReport, summarize } from "../../../vm/attack/summary.js";
import { reportOf } from "../support/report.js";

/** The first seed of a site with both kinds of tunnels, an uplink, and the underlay in a VLAN: XDP in the driver, then generic, taken off, and wiped. */
const site = 14;
const violationsOf = ({ seeds }: AttackReport) => seeds.flatMap(({ violations }) => violations.map(({ text }) => text));

describe("an adversary on every side", () => {
  let report: AttackReport;
  beforeAll(async () => {
    report = await reportOf("attack", "--seed", String(site), "--seeds", "4", "--packets", "480", "--kept");
  });

  it("reaches nobody that the config does not let them reach, and nobody pays for others", () => {
    expect(violationsOf(report)).toEqual([]);
  });

  it("gets something somewhere, honest people get through, and other people's tunnels work", () => {
    expect(summarize(report).faults).toEqual([]);
  });
});

describe("a gateway that is no boundary", () => {
  let report: AttackReport;
  beforeAll(async () => {
    report = await reportOf("attack", "--seed", String(site), "--packets", "150", "--seeds", "1", "--break", "rules");
  });

  it("is noticed: with its rules flushed, sources that are not the tenant's leave", () => {
    expect(violationsOf(report).join("\n")).toMatch(/not among its public addresses/);
  });
});
