// Killed at some points of a change, of an upgrade and a downgrade, and of a teardown; `npm run test:crash` tries them all.
import { beforeAll, describe, expect, it } from "vitest";
import type { CrashReport } from "../../../vm/crash.js";
import { reportOf } from "../support/report.js";

/** A prime, so that other points are met than the first of each phase. */
const every = 97;

describe("xgw, killed in the middle", () => {
  let report: CrashReport;
  beforeAll(async () => {
    report = await reportOf("crash", "--every", `${every}`);
  });

  it("is ended by the next run, and the one after finds nothing to do", () => expect(report.faults).toEqual([]));

  it("was killed in each kind of change", () => {
    for (const kind of ["upgrade", "downgrade", "teardown"] as const)
      expect(report[kind].killed, kind).toBeGreaterThan(0);
  });

  it("loses nothing of a tenant that nobody touches", () => expect(report.stream.received).toBe(report.stream.sent));
});
