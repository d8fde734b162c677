import type { Status, TenantStatus } from "../../status.js";
import { defineCommand } from "../command.js";

export const status = defineCommand({
  name: "status",
  summary: "Show whether the gateway is in step, and what each tenant's packets met",
  options: {},
  examples: [
    ["xgw status", "one line a tenant"],
    ["xgw status -j | jq '.tenants[] | {name, denied}'", "what was refused, by rule"],
  ],
  async handler(_args, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { readStatus } = await import("../../status.js");
    const { config } = await loadConfig(context.configFile);
    const status = await readStatus(config);
    if (context.json) return context.printJson(status);
    for (const line of statusLines(status)) context.print(line);
  },
});

function statusLines(status: Status): string[] {
  const head = status.inStep ? "in step" : `${status.pending.length} steps pending: see xgw plan`;
  const nics = status.nics.map(({ name, xdp }) => `${name} (${xdp})`).join(", ");
  const columns = ["TENANT", "KEY", "FLOWS", "BY XDP", "TO KERNEL", "DROPPED", "DENIED"];
  const rows = [columns, ...status.tenants.map(tenantRow)];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const table = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  "),
  );
  const unknown = status.nobody.unknown_key?.packets ?? 0;
  return [
    `${status.instance}: ${head}; XDP on ${nics}`,
    ...table,
    ...(unknown > 0 ? [`${unknown} packets dropped with a key that no tenant has`] : []),
  ];
}

function tenantRow(tenant: TenantStatus): string[] {
  const denied = tenant.denied.reduce((sum, { packets }) => sum + packets, 0);
  const { forwarded, passed, dropped } = tenant.packets;
  return [tenant.name, ...[tenant.key, tenant.flows, forwarded, passed, dropped, denied].map(String)];
}
