/** What `xgw monitor -j` prints, a line an event. The JSON schema in docs/output is made of this, and tests hold real output against it. */

import { z } from "zod";

const time = z.iso.datetime().describe("UTC, to the microsecond");
const tenant = z.string().optional().describe("missing where it is nobody's, or not known");
const key = z.int().nonnegative().optional().describe("the tenant's GRE key; of an unknown key the packet's");

const packet = z
  .strictObject({
    protocol: z.string().describe("tcp, udp, icmp, or the number of another IP protocol"),
    source: z.ipv4(),
    sourcePort: z.int().min(0).max(65_535).describe("0 where there is none"),
    destination: z.ipv4(),
    destinationPort: z.int().min(0).max(65_535),
  })
  .describe("the inner packet, as it arrived or as the kernel had it by then");

const rule = z.strictObject({
  direction: z.enum(["inbound", "outbound"]),
  rule: z.int().nonnegative().describe("index in the config's list"),
  name: z.string().optional(),
  place: z.strictObject({ file: z.string(), line: z.int().nonnegative() }).optional(),
});

const drop = z.strictObject({
  kind: z.literal("drop"),
  time,
  tenant,
  key,
  by: z.enum(["xgw", "kernel"]).describe("a program of xgw, or the kernel; of the latter also what nft's rules drop"),
  reason: z.string().describe("of docs/reasons.md; by the kernel: its own (enum skb_drop_reason), in lower case"),
  verdict: z
    .enum(["policy", "unadmitted", "stranger", "spoofed"])
    .optional()
    .describe(
      "of the kernel's netfilter_drop: which of xgw's rules, as far as the packet shows it; unadmitted: no rule of the policy has admitted it, or a chain before has dropped it",
    ),
  meaning: z.string().optional(),
  rule: rule.optional().describe("of the policy, that refused the packet, or that its connection has"),
  packet: packet.optional().describe("missing where none was parsed"),
  endpoint: z.ipv4().optional().describe("outer source of a tunnelled packet"),
  device: z.string().optional(),
  bytes: z.int().nonnegative().describe("of the packet where it was dropped"),
});

const flow = z.strictObject({
  kind: z
    .enum(["flow_born", "flow_died", "flow_redecided"])
    .describe("redecided: what was decided before a change is not followed any more"),
  time,
  tenant,
  key,
  reason: z.string(),
  meaning: z.string(),
  packet,
  arrivesBy: z.enum(["gretap", "gre", "plain"]),
});

const daemon = z
  .strictObject({
    kind: z.enum(["config", "repair", "redecide", "daemon"]),
    time: time.describe("when it was noticed: within a second or so"),
    what: z.string(),
    details: z.array(z.string()).optional(),
  })
  .describe("what the daemon has done; only where there is one");

const leftOut = z
  .strictObject({
    kind: z.literal("left_out"),
    time,
    drops: z
      .array(z.strictObject({ tenant, key, reason: z.string(), packets: z.int().positive() }))
      .describe("by programs of xgw, since the last time: counted, and not told of one by one"),
    kernelDrops: z.int().nonnegative().describe("by the kernel"),
    eventsLost: z.int().nonnegative().describe("events over a tenant's share, or more than a monitor has read"),
  })
  .describe("what there was besides, since the last time");

export const eventSchema = z.discriminatedUnion("kind", [drop, flow, daemon, leftOut]);

export type MonitorEvent = z.infer<typeof eventSchema>;
export type Drop = z.infer<typeof drop>;
export type LeftOut = z.infer<typeof leftOut>;
export type DaemonEvent = z.infer<typeof daemon>;
export type MonitorRule = z.infer<typeof rule>;
