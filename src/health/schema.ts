/** The schema of what `xgw doctor -j` and `xgw status --check -j` print. It is checked in as docs/output/doctor.schema.json. */

import { z } from "zod";
import { severities } from "../finding.js";

const finding = z.strictObject({
  id: z.string().describe("The kind of finding; see the table in docs/operate.md"),
  severity: z
    .enum(severities)
    .describe(
      "critical: packets are lost or misled, or what keeps tenants apart is in doubt; warning: it works worse than it should, or not for long; note: worth knowing",
    ),
  subject: z.string().describe("What it is about: a device, a setting, an address; empty when there is only one"),
  what: z.string().describe("What is wrong, with figures"),
  why: z.string().describe("Why it matters"),
  evidence: z.string().describe("The command that shows it"),
  remedy: z.string().describe("The command that mends it; behind ` # `, when to use it"),
});

const count = (severity: string) => z.int().min(0).describe(`Findings of the severity ${severity}`);

export const healthSchema = z.strictObject({
  instance: z.string().describe("The instance that was looked at"),
  counts: z.strictObject({ critical: count("critical"), warning: count("warning"), note: count("note") }),
  findings: z.array(finding).describe("The worst first"),
});

export const healthSchemaFile = "doctor.schema.json";

export function healthJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(healthSchema, { target: "draft-7" }) as Record<string, unknown>;
  return { $schema, title: "what xgw doctor -j prints", ...rest };
}
