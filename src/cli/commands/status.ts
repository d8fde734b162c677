import type { DaemonReport, DaemonState } from "../../daemon-socket.js";
import { ConfigError, type ExitCode, exitCodes, toXgwError, UsageError, XgwError } from "../../errors.js";
import { countsText } from "../../finding.js";
import type { Counted, Status, TenantStatus } from "../../status.js";
import { type Context, defineCommand } from "../command.js";
import { checkInstance } from "../instance.js";
import { problemLines } from "../problems.js";

export const status = defineCommand({
  name: "status",
  summary: "Show whether the gateway is in step, and what each tenant's packets met",
  isForViewers: true,
  description:
    "Where the config is refused, the figures of what is in force are shown all the same: of the instance that the daemon has, of --instance, or of the only one that there is. Exits with 0 whether the gateway is in step or not, and with the error's code when that cannot be told. With --check, as monitoring plugins do: 0 when there is nothing but notes, 1 with warnings, 2 when something is critical or the config is refused, 3 when it cannot tell.",
  options: {
    instance: { type: "string", describe: "The instance, when its config is gone or broken" },
    check: { type: "boolean", describe: "One line, and an exit code by the worst finding, for monitoring" },
    rules: { type: "boolean", describe: "Also what each rule of the policy has let through" },
  },
  examples: [
    ["xgw status", "one line a tenant"],
    ["xgw status --check", "OK, WARNING or CRITICAL, and what is wrong"],
    ["xgw status --rules", "and one line a rule, with packets by tier"],
    ["xgw status -j | jq '.tenants[] | {name, denied}'", "what was refused, by rule"],
  ],
  async handler({ instance, rules = false, check = false }, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { statusOf } = await import("../../status.js");
    const { diagnose } = await import("../../doctor.js");
    const { findDaemon } = await import("../../daemon-socket.js");
    if (check) return await showCheck(instance, context);
    if (instance !== undefined) {
      await checkInstance(instance);
      show(await readInForce(instance), rules, context);
      return exitCodes.done;
    }
    let daemon: DaemonState = { state: "none" };
    try {
      const { config } = await loadConfig(context.configFile).catch(async (thrown) => {
        daemon = await findDaemon(context.configFile);
        throw thrown;
      });
      daemon = await findDaemon(context.configFile, config.instance);
      const diagnosis = await diagnose(config, { daemon });
      if (diagnosis.compared instanceof XgwError)
        return await showWithout(diagnosis.compared, daemon, rules, context, config.instance);
      const status = { ...statusOf(config, diagnosis), ...daemonFields(daemon) };
      if (!context.json) showDaemon(daemon, context);
      show(status, rules, context);
      return exitCodes.done;
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      return await showWithout(thrown, daemon, rules, context);
    }
  },
});

async function showCheck(instance: string | undefined, context: Context): Promise<ExitCode> {
  const { readHealth } = await import("../health.js");
  const { asCannotTell, checkExitCode, checkLine } = await import("../health-lines.js");
  if (instance !== undefined)
    throw new UsageError("--check needs the config, and takes no --instance", { remedy: "name the config's file: -c" });
  const health = await readHealth(context.configFile).catch(asCannotTell);
  if (context.json) context.printJson(health);
  else context.print(checkLine(health));
  return checkExitCode(health.counts);
}

/** Of the JSON. */
const daemonFields = (daemon: DaemonState) =>
  daemon.state === "answers" ? { daemon: daemon.report } : daemon.state === "busy" ? { daemonBusy: daemon.holder } : {};

type Shown = Counted & Partial<Status>;

function show(status: Shown, rules: boolean, context: Context): void {
  if (context.json) context.printJson(status);
  else for (const line of [...statusLines(status), ...(rules ? ruleLines(status) : [])]) context.print(line);
}

function showDaemon(daemon: DaemonState, context: Context): void {
  for (const line of daemonStateLines(daemon)) context.print(line);
}

export function daemonStateLines(daemon: DaemonState): string[] {
  switch (daemon.state) {
    case "answers":
      return daemonLines(daemon.report);
    case "busy":
      return [`the daemon, ${daemon.holder}, is there, but does not answer within 2 s`];
    case "none":
      return ["no daemon"];
  }
}

async function readInForce(instance: string): Promise<Counted> {
  const { readCounted } = await import("../../status.js");
  const { readRecorded } = await import("../../observe/recorded.js");
  const { checkHost } = await import("../../kernel/preflight.js");
  checkHost();
  return readCounted(readRecorded(instance));
}

/**
 * The figures of what is in force, as far as they can be had, and what is wrong: with the config, or with the machine.
 *
 * @param instance of the config, if it can be read
 */
async function showWithout(
  error: XgwError,
  known: DaemonState,
  rules: boolean,
  context: Context,
  instance?: string,
): Promise<ExitCode> {
  const { recordedInstances } = await import("../../observe/recorded.js");
  const { findDaemon } = await import("../../daemon-socket.js");
  let counted: Counted | undefined;
  let daemon = known;
  try {
    const named = instance ?? (daemon.state === "answers" ? daemon.report.instance : undefined);
    const [only, ...others] = named === undefined ? recordedInstances() : [named];
    if (only !== undefined && others.length === 0) {
      if (daemon.state === "none") daemon = await findDaemon(context.configFile, only);
      counted = await readInForce(only);
    }
  } catch (thrown) {
    context.note(`no figures: ${toXgwError(thrown).message}`);
  }
  if (context.json) context.printJson({ ok: false, error, ...counted, ...daemonFields(daemon) });
  else {
    showDaemon(daemon, context);
    if (counted) show(counted, rules, context);
    const remedy = error.remedy === undefined ? "" : `; ${error.remedy}`;
    const lines = error instanceof ConfigError ? problemLines(error) : [`xgw: ${error.message}${remedy}`];
    for (const line of lines) context.note(line);
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
  const nics = nicsText(status.nics);
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
    ...(status.health && status.health.critical + status.health.warning > 0
      ? [`health: ${countsText(status.health)}: see xgw doctor`]
      : []),
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

/** Those without XDP are named beside those with it. */
function nicsText(nics: Shown["nics"]): string {
  const without = nics.filter(({ xdp }) => xdp === "none").map(({ name }) => name);
  const running = nics.flatMap(({ name, xdp }) => (xdp === "none" ? [] : [`${name} (${xdp})`]));
  if (running.length === 0) return "no NIC";
  return running.join(", ") + (without.length > 0 ? `, none on ${without.join(", ")}` : "");
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
