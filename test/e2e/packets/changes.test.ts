// Connections live through changes as they would without XDP: some random ones; `npm run test:changes` takes as many as you like.
import { beforeAll, describe, expect, it } from "vitest";
import type { ChangesReport } from "../../../vm/changes/summary.js";
import { reportOf } from "../support/report.js";

describe("routes, links, neighbours, the config and connections change", () => {
  let report: ChangesReport;
  beforeAll(async () => {
    report = await reportOf("changes", "--seed", "7", "--seeds", "1", "--changes", "10", "--kept");
  });

  it("every packet goes where it goes without XDP", () => {
    expect([...report.errors, ...report.seeds.flatMap(({ faults }) => faults)]).toEqual([]);
  });

  it("XDP sends a good part of them, so that there is something to compare", () => {
    for (const { seed, packets, byXdp } of report.seeds) expect(byXdp, `seed ${seed}`).toBeGreaterThan(packets / 8);
  });
});
