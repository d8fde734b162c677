/** What `xgw explain -j` prints. The JSON schema in docs/output is made of this, and tests hold real output against it. */

import { z } from "zod";

const stepNames = [
  ...["arrival", "decapsulation", "tenant", "peer", "flow", "conntrack", "translation", "policy", "other_rule"],
  ...["limits", "rules", "route", "neighbour", "encapsulation", "device", "xdp", "answer"],
] as const;

const step = z.strictObject({
  step: z.enum(stepNames as unknown as [string, ...string[]]).describe("stable, for programs"),
  outcome: z.enum(["goes_on", "ends", "note"]).describe("whether the packet's way ends here"),
  text: z.string(),
  asked: z.string().describe("what said it: a program, a map, or the command that asks the same"),
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

const tuple = z.strictObject({
  source: z.ipv4(),
  sourcePort: z.int().min(0).max(65_535).describe("0 where the protocol has no ports"),
  destination: z.ipv4(),
  destinationPort: z.int().min(0).max(65_535),
});

export const explanationSchema = z
  .strictObject({
    instance: z.string(),
    device: z.string().describe("by which it arrives"),
    side: z.enum(["gretap", "gre", "plain"]).optional().describe("how it is wrapped; missing where nobody can tell"),
    tenant: z.string().optional().describe("missing where it is nobody's"),
    key: z.int().nonnegative().optional(),
    protocol: z.string().optional().describe("tcp, udp or the number of another; missing where it was not parsed"),
    arrives: tuple.optional(),
    leaves: tuple.optional().describe("after NAT, where that is decided"),
    verdict: z.enum(["sent", "dropped", "delivered", "unknown"]).describe("delivered: to the machine itself"),
    by: z.enum(["xdp", "kernel"]).describe("who decides"),
    reason: z.string().describe("XDP's, as of docs/reasons.md"),
    rule: z
      .strictObject({
        direction: z.enum(["inbound", "outbound"]),
        rule: z.int().nonnegative().describe("index in the config's list"),
        name: z.string().optional(),
        place: z.strictObject({ file: z.string(), line: z.int().nonnegative() }).optional(),
      })
      .optional()
      .describe("that admits or denies its connection"),
    steps: z.array(step).describe("its way, from top to bottom"),
  })
  .describe("`xgw explain -j`: what would become of one packet now");

export type Explanation = z.infer<typeof explanationSchema>;
export type Step = z.infer<typeof step>;
