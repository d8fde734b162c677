/** What `xgw status -j` prints. */

import { z } from "zod";
import { severities } from "../../finding.js";

const number = z.int().nonnegative();
const count = z.strictObject({ packets: number, bytes: number });
const byReason = z.record(z.string(), count).describe("By reason: see docs/reasons.md");
const tiers = { xdp: count, flowtable: count, stack: count };
const direction = z.enum(["inbound", "outbound"]);
const rule = number.describe("Index in the config's list");
const use = z.strictObject({ used: number, share: number.describe("0: as much as there is") });
const time = z.iso.datetime();
const severityCounts = z.strictObject({ critical: number, warning: number, note: number });

const tenant = z.strictObject({
  name: z.string(),
  key: number.describe("GRE key"),
  id: z.int().positive().describe("Also its conntrack zone; its route table is 100000 more"),
  flows: number.describe("Flows in XDP's table; a connection has two"),
  sessions: number.optional().describe("Live connections; missing while nobody counts"),
  neighbours: number.optional().describe("On the tenant's tunnel; missing while nobody counts"),
  xdp: byReason.describe(
    "What came in, by reason: see docs/reasons.md. `forwarded` in bytes of IP packets, others of frames",
  ),
  packets: z.strictObject({
    forwarded: number.describe("By XDP"),
    passed: number.describe("To the kernel"),
    dropped: number.describe("By XDP"),
  }),
  forwarded: z.strictObject(tiers).describe("What went out, by the tier that carried it, bytes of inner IP packets"),
  rules: z
    .array(
      z.strictObject({
        direction: direction.optional().describe("Missing, as `rule` is, for what no rule had to admit"),
        rule: rule.optional(),
        name: z.string().describe("As the config has it"),
        ...tiers,
      }),
    )
    .describe("The same by the rules that have admitted it"),
  denied: z
    .array(
      z.strictObject({
        direction,
        rule: rule.optional().describe("The rule that denied; missing where none matched, which denies too"),
        packets: number,
        bytes: number,
      }),
    )
    .describe("What the policy refused, by XDP and by nft"),
  refused: byReason.describe("What nft refused for other reasons"),
  usage: z.record(z.string(), use).describe("Places of tables that tenants share: see docs/limits.md"),
  losses: z.record(z.string(), number).describe("Times that the tenant did not get one, or lost it"),
});

const figures = {
  instance: z.string(),
  nics: z.array(
    z.strictObject({
      name: z.string(),
      xdp: z.string().describe("Mode in which xgw's program runs, by the kernel's word; `none`, or `not xgw's`"),
      unsent: number.describe("Packets that XDP sent by it and the NIC did not take"),
    }),
  ),
  nobody: byReason.describe("Packets that are no tenant's"),
  refused: byReason.describe("Packets of no tenant's that nft refused"),
  conntrack: z.strictObject({
    entries: number,
    max: number,
    earlyDrops: number.describe("Connections that were ended to make room"),
    drops: number.describe("Packets dropped because the table was full"),
    insertFailures: number,
  }),
  tenants: z.array(tenant),
};

const finding = z.strictObject({
  id: z.string(),
  severity: z.enum(severities),
  subject: z.string(),
  what: z.string(),
  why: z.string(),
  evidence: z.string(),
  remedy: z.string(),
});

const durations = z.strictObject({
  counts: z.array(number).describe("By upper bound: 5, 25, 100 and 500 ms, 1, 2.5, 5, 10, 30, 60 and 300 s"),
  count: number,
  sum: z.number().nonnegative().describe("Seconds"),
});

const daemon = z
  .strictObject({
    pid: number,
    instance: z.string().optional().describe("Of the config in force; missing as long as there is none"),
    startedAt: time,
    config: z.strictObject({
      file: z.string().optional().describe("What it follows"),
      state: z.enum(["good", "bad"]).describe("bad: the file is not in force, an older one still is"),
      since: time,
      inForceSince: time,
      problems: z.array(z.string()),
      trial: z
        .strictObject({ token: z.string(), from: z.string(), until: time })
        .optional()
        .describe("What is in force is on trial, and is taken back then unless `xgw confirm` keeps it"),
    }),
    drifts: number.describe("Times that something was found changed, and put right"),
    repairs: z.record(z.string(), number).describe("Steps of these, by kind of thing"),
    repairFailures: number,
    redecisions: number.describe("Times that flows were decided anew because their way had changed"),
    putOff: z.strictObject({
      redecisions: z.record(z.string(), number).describe("By tenant; the empty name is the underlay's"),
      checks: number,
    }),
    notificationsLost: number,
    inTheWay: number,
    findings: z.array(finding).describe("Of its last look: see doctor.schema.json"),
    durations: z
      .strictObject({ reconcile: durations, repair: durations })
      .describe("How long it took to put configs in force, and to put right what others had changed"),
    neighboursForgotten: z.record(z.string(), number),
  })
  .optional()
  .describe("Where a daemon answers");

const daemons = {
  daemon,
  daemonBusy: z.string().optional().describe("Who the daemon is that does not answer in time"),
};

const compared = z
  .strictObject({
    ...figures,
    inStep: z.boolean(),
    pending: z.array(z.string()).describe("What `xgw apply` would do, step by step"),
    warnings: z.array(z.string()),
    health: severityCounts,
    ...daemons,
  })
  .describe("The config was compared with the kernel");

const uncompared = z.strictObject(figures).describe("With --instance: the figures alone");

const failed = z
  .strictObject({
    ok: z.literal(false),
    error: z.looseObject({ code: z.string(), message: z.string(), remedy: z.string().optional() }),
    ...z.strictObject(figures).partial().shape,
    ...daemons,
  })
  .describe("The config is refused, or cannot be compared: what is wrong, and the figures that can be had");

export const statusSchema = z.union([compared, uncompared, failed]);
