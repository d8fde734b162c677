// What XDP sends is what the kernel would have sent, on some random packets and on those that once failed;
// `npm run test:differential` takes as many as you like.
import { beforeAll, describe, expect, it } from "vitest";
import type { DifferentialReport } from "../../../vm/differential.js";
import { reportOf } from "../support/report.js";

describe("random and adversarial packets, with XDP and without", () => {
  let report: DifferentialReport;
  beforeAll(async () => {
    // In a site of the kept seeds, for a site takes long to be built.
    report = await reportOf("differential", "--seed", "5028", "--packets", "150", "--kept");
  });

  it("nothing else leaves the gateway", () => {
    expect(report.seeds.flatMap(({ seed, mismatches }) => mismatches.map((text) => `seed ${seed}: ${text}`))).toEqual(
      [],
    );
  });

  it("XDP sends a good part of them, so that there is something to compare", () => {
    const drawn = report.seeds.filter(({ only }) => only === undefined);
    expect(drawn.map(({ seed }) => seed)).toContain(5028);
    for (const { seed, packets, reasons } of drawn)
      expect(reasons.forwarded ?? 0, `seed ${seed}`).toBeGreaterThan(packets / 5);
  });
});
