/** What `xgw tenant -j` prints. The JSON schemas in docs/output are made of this, and tests hold real output against them. */

import { z } from "zod";

const count = z.int().nonnegative();
const counted = z.strictObject({ packets: count, bytes: count });

const tiers = {
  xdp: counted,
  flowtable: counted,
  stack: counted,
};

const denied = z
  .strictObject({ xdp: counted, nft: counted })
  .describe("by whom; bytes of inner IP packets, by XDP of the packets as they arrived");

const rule = z.strictObject({
  rule: count.describe("index in the config's list"),
  name: z.string().optional().describe("as the config has it; missing where that cannot be read"),
  place: z.strictObject({ file: z.string(), line: count }).optional(),
  ...tiers,
  denied,
});

const direction = z.strictObject({
  rules: z
    .array(rule)
    .describe(
      "of the config, and others that have counted; what each has let through, by tier, bytes of inner IP packets",
    ),
  unmatched: denied.describe("what no rule matched, which is denied"),
});

const device = z.strictObject({
  name: z.string(),
  isUp: z.boolean().optional().describe("missing, as mtu: there is no such device"),
  mtu: count.optional().describe("bytes"),
});

const range = z.strictObject({ from: count, to: count });

const origin = {
  isInKernel: z.boolean(),
  isInConfig: z.boolean().optional().describe("missing where the config cannot be read"),
};

const nat = z.strictObject({
  publicIps: z.array(z.strictObject({ address: z.ipv4(), to: z.ipv4(), ...origin })),
  portForwards: z.array(
    z.strictObject({
      address: z.ipv4(),
      protocol: z.string().describe("tcp, udp"),
      port: range,
      to: z.ipv4(),
      toPort: count.describe("of a range the first"),
      ...origin,
    }),
  ),
  sources: z
    .array(z.strictObject({ from: z.string().describe("an address or a range of them"), address: z.ipv4(), ...origin }))
    .describe("of connections that hosts begin who share a public address"),
});

const usage = z.strictObject({
  resource: z.string().describe("as under `limits` in the config"),
  used: count.optional().describe("missing where nobody counts"),
  limit: count.describe("what the programs go by, the tenant's own number or its share; 0: none"),
});

export const tenantReportSchema = z.strictObject({
  instance: z.string(),
  name: z.string(),
  key: count.describe("GRE key"),
  id: count,
  zone: count.describe("conntrack's"),
  place: z.strictObject({ file: z.string(), line: count }).optional().describe("in the config"),
  devices: z.array(device),
  routes: z
    .array(
      z.strictObject({
        to: z.string().describe("a network, or default"),
        via: z.ipv4().describe("tunnel endpoint, or next hop of the uplink"),
        device: z.string().optional().describe("the kernel's"),
        ...origin,
      }),
    )
    .describe("of the tenant's table, but for those that end a look-up"),
  nat,
  policy: z.strictObject({
    inbound: direction,
    outbound: direction,
    withoutRule: z.strictObject(tiers).describe("what no rule had to admit, or whose rule has no counter of its own"),
  }),
  limits: z.array(usage),
  losses: z
    .strictObject({
      flowsEvicted: count,
      flowsRefused: count,
      templatesRefused: count,
      rulesRefused: count,
      eventsLost: count,
    })
    .describe("times that the tenant did not get a place, or lost it"),
  connections: z
    .strictObject({ xdp: count, flowtable: count, stack: count })
    .describe("by the slower direction's tier"),
  forwarded: z.strictObject(tiers).describe("bytes of inner IP packets"),
  drops: z
    .array(z.strictObject({ by: z.enum(["xdp", "nft"]), reason: z.string(), packets: count, bytes: count }))
    .describe("see docs/reasons.md; bytes of what XDP drops are of frames"),
  changes: z.strictObject({
    decidedAnew: count.describe("times that all of its flows were, since its maps were made"),
    isUnfinished: z.boolean().describe("a change goes on, or has not come to its end"),
  }),
});

export const tenantListSchema = z.array(
  z.strictObject({
    name: z.string(),
    key: count.describe("GRE key"),
    devices: z.array(device),
    sessions: count.optional().describe("live connections; missing while nobody counts"),
    sessionsLimit: count.describe("0: none"),
    flows: count.describe("lines of XDP's flow table in use"),
  }),
);

export type TenantReport = z.infer<typeof tenantReportSchema>;
export type TenantList = z.infer<typeof tenantListSchema>;
export type Device = z.infer<typeof device>;
