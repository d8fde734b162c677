import { describe, expect, it } from "vitest";
import { addCounts, countReport, countsLine, succeeded } from "../../../vm/counts.js";

const report = (...files: { status: string; tests: string[] }[]) =>
  JSON.stringify({
    testResults: files.map(({ status, tests }) => ({
      status,
      assertionResults: tests.map((test) => ({ status: test })),
    })),
  });

describe("counts", () => {
  it("are those of the tests", () => {
    const text = report(
      { status: "failed", tests: ["passed", "failed", "skipped"] },
      { status: "passed", tests: ["passed", "todo"] },
    );
    expect(countReport(text)).toEqual({ passed: 2, failed: 1, skipped: 2 });
  });

  it("have a failure for a file that failed before its tests", () => {
    expect(countReport(report({ status: "failed", tests: [] }))).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countReport(report({ status: "failed", tests: ["passed", "skipped"] })).failed).toBe(1);
  });

  it("add up", () => {
    const one = { passed: 1, failed: 2, skipped: 3 };
    expect(addCounts([one, one])).toEqual({ passed: 2, failed: 4, skipped: 6 });
    expect(addCounts([])).toEqual({ passed: 0, failed: 0, skipped: 0 });
  });

  it("make the last line, which names skipped tests only if there are any", () => {
    expect(countsLine({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
    expect(countsLine({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 1 failed, 2 skipped");
  });

  it("are no success if nothing ran", () => {
    expect(succeeded({ passed: 0, failed: 0, skipped: 5 })).toBe(false);
    expect(succeeded({ passed: 1, failed: 1, skipped: 0 })).toBe(false);
    expect(succeeded({ passed: 1, failed: 0, skipped: 1 })).toBe(true);
  });
});
