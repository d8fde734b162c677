/** What `xgw monitor -j` prints, one value a line. The JSON schema in docs/output is made of this. */

import { z } from "zod";

const count = z.int().nonnegative();
const port = z.int().min(0).max(65_535);

export const monitorKinds = ["drop", "kernel_drop", "flow_born", "flow_died"] as const;

const happened = z.strictObject({
  time: z.string().describe("ISO 8601, microseconds, UTC"),
  kind: z.enum(monitorKinds),
  reason: z
    .string()
    .describe(
      "of a drop, or of a flow's end (docs/reasons.md); of kernel_drop the kernel's own (enum skb_drop_reason)",
    ),
  tenant: z.string().optional().describe("missing where it is no tenant's"),
  key: count.optional().describe("GRE key that the packet came with, 0 where it was not in a tunnel"),
  protocol: z.string().describe("tcp, udp, icmp or a number; 0 where the packet was not looked at so far"),
  source: z.ipv4(),
  sourcePort: port,
  destination: z.ipv4(),
  destinationPort: port,
  peer: z.ipv4().optional().describe("tunnel endpoint: that sent it; of a new flow, that it leads to"),
  rule: z
    .strictObject({
      direction: z.enum(["inbound", "outbound"]),
      rule: count.describe("index in the config's list"),
      name: z.string().optional(),
      place: z.strictObject({ file: z.string(), line: count }).optional(),
    })
    .optional()
    .describe("that denied it; missing where no rule matched"),
  bytes: count.optional().describe("of the packet that was dropped, as it was seen"),
});

const leftOut = z.strictObject({
  time: z.string(),
  kind: z.literal("left_out"),
  overShare: count.describe("events since the line before: more of one tenant than is told at a time"),
  full: count.describe("the same: the monitor was too slow"),
});

export const monitorSchema = z.union([happened, leftOut]);

export type Happened = z.infer<typeof happened>;
export type LeftOut = z.infer<typeof leftOut>;
