import type { DaemonReport } from "../../daemon-socket.js";
import type { Status, TenantStatus } from "../../status.js";
import { defineCommand } from "../command.js";

export const status = defineCommand({
  name: "status",
  summary: "Show whether the gateway is in step, and what each tenant's packets met",
  options: {
    rules: { type: "boolean", describe: "Also what each rule of the policy has let through" },
  },
  examples: [
    ["xgw status", "one line a tenant"],
    ["xgw status --rules", "and one line a rule, with packets by tier"],
    ["xgw status -j | jq '.tenants[] | {name, denied}'", "what was refused, by rule"],
  ],
  async handler({ rules }, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { readStatus } = await import("../../status.js");
    const { askDaemon } = await import("../../daemon-socket.js");
    const daemon = await askDaemon(context.configFile);
    const { config } = await loadConfig(context.configFile).catch((error) => {
      if (daemon) for (const line of daemonLines(daemon)) context.note(line);
      throw error;
    });
    const status = { ...(await readStatus(config)), ...(daemon ? { daemon } : {}) };
    if (context.json) return context.printJson(status);
    for (const line of daemon ? daemonLines(daemon) : ["no daemon"]) context.print(line);
    for (const line of statusLines(status)) context.print(line);
    if (rules) for (const line of ruleLines(status)) context.print(line);
  },
});

/** In words; a config that is refused comes with what is wrong with it. */
export function daemonLines(report: DaemonReport): string[] {
  const { pid, startedAt, config, drifts, repairs, repairFailures } = report;
  const kinds = Object.entries(repairs).map(([kind, count]) => `${count} ${kind}`);
  const mended = drifts === 0 ? "nothing repaired" : `${drifts} drifts repaired (${kinds.join(", ")})`;
  const failed = repairFailures === 0 ? "" : `, ${repairFailures} repairs failed`;
  const refused = `the config is refused since ${config.since}; the one of ${config.inForceSince} is in force:`;
  return [
    `daemon ${pid} since ${startedAt}: ${mended}${failed}`,
    ...putOffLines(report),
    ...(config.state === "good" ? [] : [refused, ...config.problems.map((problem) => `  ${problem}`)]),
  ];
}

/** Who causes so much work that it waits. A daemon of an older version does not say. */
function putOffLines({ putOff }: Partial<DaemonReport>): string[] {
  const tenants = Object.entries(putOff?.redecisions ?? {}).map(
    ([name, count]) => `${name || "the underlay"} ${count}`,
  );
  const checks = putOff?.checks ? [`comparisons ${putOff.checks}`] : [];
  const all = [...tenants, ...checks];
  return all.length === 0 ? [] : [`times that work waited, for its cause had had its share of it: ${all.join(", ")}`];
}

function statusLines(status: Status): string[] {
  const head = status.inStep ? "in step" : `${status.pending.length} steps pending: see xgw plan`;
  const nics = status.nics.map(({ name, xdp }) => `${name} (${xdp})`).join(", ");
  const columns = [
    "TENANT",
    "KEY",
    "FLOWS",
    "BY XDP",
    "FLOWTABLE",
    "STACK",
    "TO KERNEL",
    "DROPPED",
    "REFUSED",
    "DENIED",
  ];
  const table = tableLines(1, [columns, ...status.tenants.map(tenantRow)]);
  const unknown = status.nobody.unknown_key?.packets ?? 0;
  const crossed = status.refused.crossed?.packets ?? 0;
  const forged = status.refused.forged?.packets ?? 0;
  return [
    `${status.instance}: ${head}; XDP on ${nics}`,
    ...table,
    ...(unknown > 0 ? [`${unknown} packets dropped with a key that no tenant has`] : []),
    ...(crossed > 0 ? [`${crossed} packets refused between underlay and uplink (see host.forward)`] : []),
    ...(forged > 0 ? [`${forged} ICMP errors refused about packets that the gateway cannot have sent`] : []),
    ...status.warnings.map((warning) => `warning: ${warning}`),
  ];
}

function tenantRow(tenant: TenantStatus): string[] {
  const denied = tenant.denied.reduce((sum, { packets }) => sum + packets, 0);
  const { key, flows, packets, forwarded } = tenant;
  const carried = [forwarded.xdp, forwarded.flowtable, forwarded.stack].map(({ packets }) => packets);
  const refused = Object.values(tenant.refused).reduce((sum, { packets }) => sum + packets, 0);
  return [tenant.name, ...[key, flows, ...carried, packets.passed, packets.dropped, refused, denied].map(String)];
}

/** What each rule has let through; the packets by the tier that carried them, the bytes of them all. */
function ruleLines(status: Status): string[] {
  const columns = ["TENANT", "DIRECTION", "NO", "RULE", "BY XDP", "FLOWTABLE", "STACK", "BYTES"];
  const rows = status.tenants.flatMap((tenant) =>
    tenant.rules.map(({ direction = "", rule = "", name, xdp, flowtable, stack }) => [
      ...[tenant.name, direction, String(rule), name],
      ...[xdp.packets, flowtable.packets, stack.packets, xdp.bytes + flowtable.bytes + stack.bytes].map(String),
    ]),
  );
  return ["", ...tableLines(4, [columns, ...rows])];
}

/** Columns side by side: words to the left, numbers to the right. */
function tableLines(wordColumns: number, rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column < wordColumns ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
}
