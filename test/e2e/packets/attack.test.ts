// Nobody reaches whom the config does not let them, in a small number of packets; `npm run test:attack` takes as many as you
// like. And it is seen when a gateway is no boundary.
import { beforeAll, describe, expect, it } from "vitest";
import { type AttackReport, summarize } from "../../../vm/attack/summary.js";
import { reportOf } from "../support/report.js";

/** The first seed of a site with both kinds of tunnels, an uplink, and the underlay in a VLAN. */
const site = 20;

describe("an adversary on every side", () => {
  let report: AttackReport;
  beforeAll(async () => {
    // XDP in the driver, generic, and taken off; then a gateway that is broken on purpose.
    const some = ["--seeds", "3", "--packets", "200", "--break", "rules"];
    report = await reportOf("attack", "--seed", String(site), "--kept", ...some);
  });

  it("reaches nobody that the config does not let them reach, and nobody pays for others", () => {
    const seeds = report.seeds.filter(({ broken }) => broken === undefined);
    expect(seeds.flatMap(({ violations }) => violations.map(({ text }) => text))).toEqual([]);
  });

  it("gets something somewhere, honest people get through, and other people's tunnels work", () => {
    expect(summarize(report).faults).toEqual([]);
  });

  it("is noticed where the gateway is no boundary: with its rules flushed, others' sources leave", () => {
    const broken = report.seeds.find((result) => result.broken === "rules");
    expect(broken?.violations.map(({ text }) => text).join("\n")).toMatch(/not among its public addresses/);
  });
});
