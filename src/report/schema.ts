/** The schema of a report's `manifest.json`, which is also what `xgw report -j` prints. */

import { z } from "zod";

const entry = z.strictObject({
  file: z.string().optional().describe("In the archive; missing when there is nothing of it"),
  source: z.string().describe("The command that was run, the file or URL that was read"),
  exitCode: z.int().optional().describe("Of a command that came to its end"),
  milliseconds: z.int().min(0).describe("How long it took"),
  bytes: z.int().min(0).describe("The size of the file in the archive"),
  truncated: z.boolean().describe("Whether there was more than is kept"),
  error: z.string().optional().describe("Why it is not there, or not whole"),
  stderr: z.string().optional().describe("The first 2 KiB of what the command said on standard error"),
});

export const manifestSchema = z.strictObject({
  format: z.literal(1).describe("The version of this format"),
  xgw: z.string().describe("The version of the xgw that made the report"),
  node: z.string().describe("The version of its Node.js"),
  libbpf: z.string().describe("The version of its libbpf"),
  createdAt: z.string().describe("ISO 8601"),
  redacted: z.boolean().describe("Whether addresses and names are replaced by stand-ins"),
  parts: z.array(entry).describe("In the order in which they were collected"),
});

export type Manifest = z.output<typeof manifestSchema>;
export type ManifestPart = z.output<typeof entry>;
