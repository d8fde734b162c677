/** What a report has in it and what it has not, for people. */

import type { Report } from "../report/report.js";

export function reportLines({ file, files, redacted, incomplete }: Report): string[] {
  const how = redacted ? ", addresses and names replaced" : "";
  return [
    `${file}: ${files} files${how}; manifest.json says what each is`,
    ...(incomplete.length === 0 ? [] : ["not whole:", ...incomplete.map((one) => `  ${one.file}: ${one.why}`)]),
    ...(redacted ? [] : ["It has addresses and names of tenants: --redact replaces them."]),
  ];
}
