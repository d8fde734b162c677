import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { repoRoot } from "./root.js";

/** What a run of tests has come to. */
export interface Outcome {
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly Failure[];
}

export interface Failure {
  /** The test's file and full name. */
  readonly test: string;
  /** What was seen and what was wanted, as the test says it. */
  readonly message: string;
}

/** The part of vitest's JSON report that is read. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

export const nothingRan: Outcome = { passed: 0, skipped: 0, failures: [] };

export function readReport(json: string): Outcome {
  let [passed, skipped] = [0, 0];
  const failures: Failure[] = [];
  for (const { name, status, message, assertionResults } of (JSON.parse(json) as Report).testResults) {
    const file = relative(repoRoot, name);
    const before = failures.length;
    for (const test of assertionResults) {
      if (test.status === "passed") passed++;
      else if (test.status !== "failed") skipped++;
      else failures.push({ test: `${file}: ${test.fullName}`, message: (test.failureMessages ?? []).join("\n") });
    }
    // A file that could not be loaded, or whose hooks failed, has failed though none of its tests has.
    if (status === "failed" && failures.length === before) failures.push({ test: file, message: message ?? "" });
  }
  return { passed, skipped, failures };
}

export function addOutcomes(all: readonly Outcome[]): Outcome {
  return {
    passed: all.reduce((sum, { passed }) => sum + passed, 0),
    skipped: all.reduce((sum, { skipped }) => sum + skipped, 0),
    failures: all.flatMap(({ failures }) => failures),
  };
}

/** What each failure's message is cut to: its end is a stack trace, which vitest has printed whole. */
const messageLines = 12;

/** What a run of the tests ends with: each failure again, since what was printed of it can be far above, and the counts. */
export function outcomeLines({ passed, skipped, failures }: Outcome): string[] {
  return [
    ...failures.flatMap(({ test, message }) => [
      `failed: ${test}`,
      ...stripVTControlCharacters(message)
        .split("\n")
        .slice(0, messageLines)
        .map((line) => `  ${line}`.trimEnd()),
    ]),
    `${passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
  ];
}

/** Whether it is a success: something ran, and nothing failed. */
export function succeeded({ passed, failures }: Outcome): boolean {
  return passed > 0 && failures.length === 0;
}
