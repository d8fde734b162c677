import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { addOutcomes, nothingRan, outcomeLines, readReport, succeeded } from "../../../vm/outcome.js";
import { repoRoot } from "../../../vm/root.js";

const report = (...files: { status: string; tests: string[]; message?: string }[]) =>
  JSON.stringify({
    testResults: files.map(({ status, tests, message }, index) => ({
      name: join(repoRoot, `test/unit/${index}.test.ts`),
      status,
      message,
      assertionResults: tests.map((test, at) => ({
        fullName: `story ${at}`,
        status: test,
        failureMessages: test === "failed" ? ["expected 1 to be 2\n    at somewhere"] : [],
      })),
    })),
  });
const failure = { test: "test/unit/0.test.ts: story 1", message: "expected 1 to be 2\n    at somewhere" };

describe("the outcome of a run of tests", () => {
  it("is read from vitest's report", () => {
    const text = report(
      { status: "failed", tests: ["passed", "failed", "skipped"] },
      { status: "passed", tests: ["passed", "todo"] },
    );
    expect(readReport(text)).toEqual({ passed: 2, skipped: 2, failures: [failure] });
  });

  it("has a failure for a file that failed before its tests", () => {
    const failures = [{ test: "test/unit/0.test.ts", message: "no such module" }];
    expect(readReport(report({ status: "failed", tests: [], message: "no such module" }))).toEqual({
      ...nothingRan,
      failures,
    });
    const hooks = report({ status: "failed", tests: ["passed", "skipped"], message: "no such module" });
    expect(readReport(hooks).failures).toEqual(failures);
  });

  it("adds up", () => {
    const one = { passed: 1, skipped: 3, failures: [failure] };
    expect(addOutcomes([one, one])).toEqual({ passed: 2, skipped: 6, failures: [failure, failure] });
    expect(addOutcomes([])).toEqual(nothingRan);
  });

  it("ends with the counts, and names skipped tests only if there are any", () => {
    expect(outcomeLines({ passed: 3, skipped: 0, failures: [] })).toEqual(["3 passed, 0 failed"]);
    expect(outcomeLines({ passed: 3, skipped: 2, failures: [failure] }).at(-1)).toBe("3 passed, 1 failed, 2 skipped");
  });

  it("says each failure again before the counts, without colours", () => {
    const coloured = { ...failure, message: `\u001b[31m${failure.message}\u001b[39m` };
    expect(outcomeLines({ passed: 3, skipped: 0, failures: [coloured] }).slice(0, -1)).toEqual([
      "failed: test/unit/0.test.ts: story 1",
      "  expected 1 to be 2",
      "      at somewhere",
    ]);
  });

  it("is no success if nothing ran", () => {
    expect(succeeded({ ...nothingRan, skipped: 5 })).toBe(false);
    expect(succeeded({ passed: 1, skipped: 0, failures: [failure] })).toBe(false);
    expect(succeeded({ passed: 1, skipped: 1, failures: [] })).toBe(true);
  });
});
