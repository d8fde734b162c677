/** What `xgw flow … -j` prints. The JSON schemas in docs/ are made of this, and tests hold real output against it. */

import { z } from "zod";

const protocol = z.string().describe("tcp, udp, icmp, or the number of another IP protocol");

const count = z.strictObject({
  packets: z.int().nonnegative(),
  bytes: z.int().nonnegative().describe("of IP packets as tenants see them, without tunnel headers"),
});

const tuple = z.strictObject({
  source: z.ipv4(),
  sourcePort: z.int().min(0).max(65_535).describe("0 where the protocol has no ports"),
  destination: z.ipv4(),
  destinationPort: z.int().min(0).max(65_535),
});

const rule = z.strictObject({
  direction: z.enum(["inbound", "outbound"]),
  rule: z.int().nonnegative().describe("index in the config's list"),
});

const tier = z.enum(["xdp", "flowtable", "stack"]);

export const listedSchema = z
  .strictObject({
    tenant: z.string(),
    key: z.int().nonnegative().describe("the tenant's GRE key"),
    protocol,
    original: tuple.describe("packets of who has begun it, as they arrive"),
    reply: tuple.describe("packets of the other side, as they arrive"),
    nat: z.enum(["none", "snat", "dnat", "both"]),
    tier: tier.describe("what carries the slower one of the two directions"),
    counted: z
      .strictObject({ by: z.enum(["xdp", "conntrack"]), original: count, reply: count })
      .optional()
      .describe("by XDP since the flow was learned; by conntrack where the kernel counts (nf_conntrack_acct)"),
    idleSeconds: z.number().nonnegative().optional().describe("missing where nothing tells; to within 1 s"),
    ageSeconds: z
      .number()
      .nonnegative()
      .optional()
      .describe("since XDP first learned a connection of these tuples, as far as it remembers"),
    rule: rule.optional().describe("missing where no rule had to admit it"),
  })
  .describe("a line of `xgw flow list -j`: one connection");

const place = z.strictObject({ file: z.string(), line: z.int().nonnegative() });

const step = z.strictObject({
  code: z.string().describe("stable, for programs"),
  text: z.string(),
});

const direction = z.strictObject({
  arrives: tuple,
  leaves: tuple.describe("after NAT"),
  tier,
  whyNotXdp: z.array(step).describe("empty when XDP carries it"),
  whyNotFlowtable: z.array(step).describe("empty when XDP or the flowtable carries it"),
  xdp: z
    .strictObject({
      arrivesBy: z.enum(["gretap", "gre", "plain"]),
      packets: z.int().nonnegative(),
      bytes: z.int().nonnegative(),
      idleSeconds: z.number().nonnegative(),
      peer: z.ipv4().optional().describe("the tunnel endpoint that its packets come from"),
      generation: z.int().nonnegative(),
      template: z.strictObject({
        id: z.int().nonnegative(),
        state: z.enum(["free", "writing", "ready", "retired", "left"]),
        device: z.string(),
        takesRedirects: z
          .boolean()
          .describe(
            "of the device; if not, XDP sends only what has come in by it, and not even that by a veth or a bond",
          ),
        nextHop: z.string().describe("MAC address of the outer frame's destination"),
        endpoint: z.ipv4().optional().describe("outer destination; missing for what leaves in plain IP"),
        mtu: z.int().nonnegative().describe("largest inner IP packet, bytes"),
        unseen: z.int().nonnegative().describe("samples in a row that the kernel was not seen to send"),
      }),
    })
    .optional()
    .describe("missing where the flow table has no line of it"),
});

export const shownSchema = z
  .strictObject({
    tenant: z.string(),
    key: z.int().nonnegative(),
    zone: z.int().nonnegative().describe("conntrack's"),
    protocol,
    nat: z.enum(["none", "snat", "dnat", "both"]),
    tier,
    ageSeconds: z.number().nonnegative().optional().describe("as of flow list"),
    rule: rule
      .extend({ name: z.string().optional(), place: place.optional() })
      .optional()
      .describe("with its words and its place in the config, if that can be read"),
    conntrack: z
      .strictObject({
        status: z.array(z.string()),
        state: z.string().optional(),
        timeoutSeconds: z.int().nonnegative().optional().describe("missing while the flowtable carries it"),
        mark: z.int().nonnegative(),
        helper: z.string().optional(),
        counted: z.strictObject({ original: count, reply: count }).optional(),
      })
      .optional()
      .describe("missing where conntrack does not know the connection"),
    original: direction,
    reply: direction,
  })
  .describe("`xgw flow show -j`");

export const topSchema = z
  .strictObject({
    at: z.iso.datetime(),
    seconds: z.number().positive().describe("what the rates are over"),
    flows: z.array(
      z.strictObject({
        tenant: z.string(),
        key: z.int().nonnegative(),
        protocol,
        arrives: tuple,
        leaves: tuple,
        packetsPerSecond: z.number().nonnegative(),
        bitsPerSecond: z.number().nonnegative(),
        rule: rule.optional(),
      }),
    ),
    rest: z
      .strictObject({ flows: z.int().nonnegative(), packetsPerSecond: z.number(), bitsPerSecond: z.number() })
      .describe("all others that had packets"),
  })
  .describe("a line of `xgw flow top -j`: one interval; a flow is one direction of a connection");

export const deletedSchema = z
  .strictObject({
    instance: z.string(),
    matched: z.int().nonnegative().describe("lines of the flow table: one for each direction"),
    deleted: z.int().nonnegative().describe("those that were still there"),
  })
  .describe("`xgw flow delete -j`");

export type Listed = z.infer<typeof listedSchema>;
export type Shown = z.infer<typeof shownSchema>;
export type ShownDirection = z.infer<typeof direction>;
export type Top = z.infer<typeof topSchema>;
export type Deleted = z.infer<typeof deletedSchema>;
export type Why = z.infer<typeof step>;
export type Rule = z.infer<typeof rule>;
export type Tier = z.infer<typeof tier>;
export type Nat = Listed["nat"];
