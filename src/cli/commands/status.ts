import type { DaemonReport } from "../../daemon-socket.js";
import { ConfigError, type ExitCode, exitCodes, toXgwError } from "../../errors.js";
import type { Counted, Status, TenantStatus } from "../../status.js";
import { type Context, defineCommand } from "../command.js";
import { checkInstance } from "../instance.js";
import { problemLines } from "../problems.js";

export const status = defineCommand({
  name: "status",
  summary: "Show whether the gateway is in step, and what each tenant's packets met",
  description:
    "Where the config is refused, the figures of what is in force are shown all the same: of the instance that the daemon has, of --instance, or of the only one that there is.",
  options: {
    instance: { type: "string", describe: "The instance, when its config is gone or broken" },
    rules: { type: "boolean", describe: "Also what each rule of the policy has let through" },
  },
  examples: [
    ["xgw status", "one line a tenant"],
    ["xgw status --rules", "and one line a rule, with packets by tier"],
    ["xgw status -j | jq '.tenants[] | {name, denied}'", "what was refused, by rule"],
  ],
  async handler({ instance, rules = false }, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { readStatus } = await import("../../status.js");
    const { askDaemon, askDaemonOf } = await import("../../daemon-socket.js");
    if (instance !== undefined) {
      await checkInstance(instance);
      show(await readInForce(instance), rules, context);
      return exitCodes.done;
    }
    let daemon = await askDaemon(context.configFile);
    try {
      const { config } = await loadConfig(context.configFile);
      daemon ??= await askDaemonOf(config.instance);
      const status = { ...(await readStatus(config)), ...(daemon ? { daemon } : {}) };
      if (!context.json) showDaemon(daemon, context);
      show(status, rules, context);
      return exitCodes.done;
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      return await showWithout(thrown, daemon, rules, context);
    }
  },
});

type Shown = Counted & Partial<Status>;

function show(status: Shown, rules: boolean, context: Context): void {
  if (context.json) context.printJson(status);
  else for (const line of [...statusLines(status), ...(rules ? ruleLines(status) : [])]) context.print(line);
}

function showDaemon(daemon: DaemonReport | undefined, context: Context): void {
  for (const line of daemon ? daemonLines(daemon) : ["no daemon"]) context.print(line);
}

async function readInForce(instance: string): Promise<Counted> {
  const { readCounted } = await import("../../status.js");
  const { readRecorded } = await import("../../observe/recorded.js");
  const { checkHost } = await import("../../kernel/preflight.js");
  checkHost();
  return readCounted(readRecorded(instance));
}

/** The figures of what is in force, as far as they can be had, and what is wrong with the config. */
async function showWithout(
  error: ConfigError,
  known: DaemonReport | undefined,
  rules: boolean,
  context: Context,
): Promise<ExitCode> {
  const { recordedInstances } = await import("../../observe/recorded.js");
  const { askDaemonOf } = await import("../../daemon-socket.js");
  let counted: Counted | undefined;
  let daemon = known;
  try {
    const [only, ...others] = daemon?.instance === undefined ? recordedInstances() : [daemon.instance];
    if (only !== undefined && others.length === 0) {
      daemon ??= await askDaemonOf(only);
      counted = await readInForce(only);
    }
  } catch (thrown) {
    context.note(`no figures: ${toXgwError(thrown).message}`);
  }
  if (context.json) context.printJson({ ok: false, error, ...counted, ...(daemon ? { daemon } : {}) });
  else {
    showDaemon(daemon, context);
    if (counted) show(counted, rules, context);
    for (const line of problemLines(error)) context.note(line);
  }
  return error.exitCode;
}

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

export function statusLines(status: Shown): string[] {
  const nics = status.nics.map(({ name, xdp }) => `${name} (${xdp})`).join(", ") || "no NIC";
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
    `${status.instance}: ${headOf(status)}; XDP on ${nics}`,
    ...(status.warnings ?? []).map((warning) => `warning: ${warning}`),
    ...table,
    ...status.nics.flatMap(({ name, unsent }) =>
      unsent > 0 ? [`${unsent} packets lost that XDP had sent by ${name}, and the NIC did not take`] : [],
    ),
    ...(unknown > 0 ? [`${unknown} packets dropped with a key that no tenant has`] : []),
    ...(crossed > 0 ? [`${crossed} packets of nobody refused between the sides (see host.forward)`] : []),
    ...(forged > 0 ? [`${forged} ICMP errors refused about packets that the gateway cannot have sent`] : []),
  ];
}

function headOf({ inStep, pending = [], warnings = [] }: Shown): string {
  if (inStep === undefined) return "figures of what is in force, not compared with a config";
  const step = inStep ? "in step" : `${pending.length} steps pending: see xgw plan`;
  return warnings.length === 0 ? step : `${step}, but something is in the way`;
}

function tenantRow(tenant: TenantStatus): string[] {
  const denied = tenant.denied.reduce((sum, { packets }) => sum + packets, 0);
  const { key, flows, packets, forwarded } = tenant;
  const carried = [forwarded.xdp, forwarded.flowtable, forwarded.stack].map(({ packets }) => packets);
  const refused = Object.values(tenant.refused).reduce((sum, { packets }) => sum + packets, 0);
  return [tenant.name, ...[key, flows, ...carried, packets.passed, packets.dropped, refused, denied].map(String)];
}

/** What each rule has let through; the packets by the tier that carried them, the bytes of them all. */
function ruleLines(status: Counted): string[] {
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
