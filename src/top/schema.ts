/** What `xgw top -j` prints. */

import { z } from "zod";

const rate = z.number().nonnegative();
const count = z.int().nonnegative();

const carried = z.strictObject({
  packetsPerSecond: rate,
  bitsPerSecond: rate.describe("of inner IP packets"),
});

const traffic = {
  xdp: carried,
  flowtable: carried,
  stack: carried,
  droppedPerSecond: rate.describe("packets that XDP dropped, and that the nft rules denied or refused"),
};

export const tenantRatesSchema = z.strictObject({
  name: z.string(),
  key: count.describe("GRE key"),
  ...traffic,
  sessions: z.int().optional().describe("live connections; missing while nobody counts"),
  sessionsLimit: count.describe("0: none"),
  flows: count.describe("lines of XDP's flow table in use"),
  flowsShare: count.describe("lines that nobody takes from the tenant; 0: all"),
});

export const topTableSchema = z
  .strictObject({
    at: z.iso.datetime(),
    seconds: z.number().positive().describe("what the rates are over"),
    instance: z.string(),
    conntrack: z.strictObject({ entries: count, max: count }),
    flowTable: z.strictObject({ used: count, lines: count }),
    total: z.strictObject(traffic).describe("of all tenants"),
    tenants: z.array(tenantRatesSchema),
  })
  .describe("a line of `xgw top -j`: one interval; with --tenant the lines are those of `xgw flow top -j`");

export type TopTable = z.infer<typeof topTableSchema>;
export type TenantRates = z.infer<typeof tenantRatesSchema>;
