export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of vitest's JSON report that is counted. */
interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

export function countReport(json: string): Counts {
  const { testResults } = JSON.parse(json) as Report;
  let [passed, failed, skipped] = [0, 0, 0];
  for (const file of testResults) {
    const statuses = file.assertionResults.map(({ status }) => status);
    // A file that could not be loaded, or whose hooks failed, has failed though none of its tests has.
    if (file.status === "failed" && !statuses.includes("failed")) failed++;
    for (const status of statuses) {
      if (status === "passed") passed++;
      else if (status === "failed") failed++;
      else skipped++;
    }
  }
  return { passed, failed, skipped };
}

export function addCounts(all: readonly Counts[]): Counts {
  return all.reduce(
    (sum, { passed, failed, skipped }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/** The line that a run of the tests ends with. */
export function countsLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** Whether a run with these counts is a success: something ran, and nothing failed. */
export function succeeded({ passed, failed }: Counts): boolean {
  return passed > 0 && failed === 0;
}
