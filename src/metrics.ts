/** The gateway's figures as Prometheus metrics: read from the kernel when they are asked for, and only then. */

import type { DaemonReport } from "./daemon-socket.js";
import { type ForwardedByRule, scanForwarded, tiers } from "./datapath/accounting.js";
import { type Denial, scanDenials, scanReasons } from "./datapath/counters.js";
import { readGenerations } from "./datapath/generations.js";
import { readNeighbourCounts } from "./datapath/neighbours.js";
import { Pins } from "./datapath/pins.js";
import { reasons } from "./datapath/reasons.js";
import { readSessions } from "./datapath/sessions.js";
import { scanShares, type TenantShares } from "./datapath/shares.js";
import { Exposition } from "./exposition.js";
import type { Finding } from "./finding.js";
import { addNics } from "./metrics/nics.js";
import { addTables } from "./metrics/tables.js";
import type { Desired } from "./model/desired.js";
import { readConntrack } from "./observe/kernel-tables.js";
import { scanNftCounters } from "./observe/nft-counters.js";
import { inSlices, type Reading, tenantsAtOnce } from "./slices.js";
import { packageVersion } from "./version.js";

/** Of one scrape, in pieces. A tenant is a label, an address never. The event loop goes on meanwhile. */
export async function readMetrics(desired: Desired, daemon: DaemonReport): Promise<readonly Buffer[]> {
  const exposition = new Exposition();
  addDaemon(exposition, daemon);
  await inSlices(addTenants(exposition, desired));
  return exposition.pieces();
}

export { contentType as metricsContentType } from "./exposition.js";

const verdicts: ReadonlyMap<string, string> = new Map(reasons.map(({ name, verdict }) => [name, verdict]));
const verdictOf = (reason: string): string => verdicts.get(reason) ?? "";

const seconds = (time: string) => Date.parse(time) / 1000;

function addDaemon(exposition: Exposition, { config, startedAt, ...daemon }: DaemonReport): void {
  const gauge = (name: string, help: string, value: number) => exposition.gauge(name, help)({}, value);
  const counter = (name: string, help: string, value: number) => exposition.counter(name, help)({}, value);
  exposition.gauge("xgw_build_info", "1; its label is the version of the daemon.")({ version: packageVersion() }, 1);
  const durations = exposition.histogram(
    "xgw_work_duration_seconds",
    "How long it took to put a config in force, and to put right what others had changed.",
  );
  for (const [work, of] of Object.entries(daemon.durations)) durations({ work }, of);
  gauge("xgw_start_time_seconds", "When the daemon started, Unix time.", seconds(startedAt));
  gauge(
    "xgw_config_good",
    "1 when the config file is in force, 0 when it was refused.",
    config.state === "good" ? 1 : 0,
  );
  gauge(
    "xgw_config_state_since_seconds",
    "Since when xgw_config_good is what it is, Unix time.",
    seconds(config.since),
  );
  gauge(
    "xgw_config_in_force_since_seconds",
    "When the config in force was applied, Unix time.",
    seconds(config.inForceSince),
  );
  counter("xgw_drifts_total", "Times that something was changed from outside and put right.", daemon.drifts);
  counter("xgw_repair_failures_total", "Repairs that failed and were tried again.", daemon.repairFailures);
  counter(
    "xgw_redecisions_total",
    "Times that flows were decided anew because their way had changed.",
    daemon.redecisions,
  );
  const repairs = exposition.counter("xgw_repairs_total", "Steps of repairs, by the kind of thing.");
  for (const [kind, count] of Object.entries(daemon.repairs)) repairs({ kind }, count);
  counter(
    "xgw_checks_put_off_total",
    "Comparisons that waited, because what they are of changes without end.",
    daemon.putOff.checks,
  );
  counter(
    "xgw_notifications_lost_total",
    "Times that more happened than the kernel could tell.",
    daemon.notificationsLost,
  );
  gauge(
    "xgw_in_the_way",
    "Things that are not xgw's and stand in the way of what the config promises: see xgw status.",
    daemon.inTheWay,
  );
  const findings = exposition.gauge(
    "xgw_health_findings",
    "What keeps the gateway from working, or may: see xgw doctor.",
  );
  for (const [{ severity, id }, count] of countById(daemon.findings)) findings({ severity, id }, count);
  const ofTenants = (name: string, help: string, counts: Readonly<Record<string, number>>) => {
    const metric = exposition.counter(name, help);
    for (const [tenant, count] of Object.entries(counts)) metric({ tenant }, count);
  };
  ofTenants(
    "xgw_redecisions_put_off_total",
    "Redecisions that waited, because the tenant causes them without end.",
    daemon.putOff.redecisions,
  );
  ofTenants(
    "xgw_neighbours_forgotten_total",
    "Link-layer addresses of hosts that were forgotten because there were too many.",
    daemon.neighboursForgotten,
  );
}

/** How many of each kind and severity there are, with one of them. */
function countById(findings: readonly Finding[]): Iterable<readonly [Finding, number]> {
  const counts = new Map<string, readonly [Finding, number]>();
  for (const finding of findings) {
    const name = `${finding.severity} ${finding.id}`;
    counts.set(name, [finding, (counts.get(name)?.[1] ?? 0) + 1]);
  }
  return counts.values();
}

function* addTenants(exposition: Exposition, { instance, nics, tenants, shares }: Desired): Reading<void> {
  const pins = new Pins(instance);
  const ids = tenants.map(({ id }) => id);
  const names = new Map([[0, ""], ...tenants.map(({ id, name }) => [id, name] as const)]);
  /** What is counted of each tenant, a few at a time. */
  function* each<T>(counted: ReadonlyMap<number, T>, add: (tenant: string, of: T) => void): Reading<void> {
    let added = 0;
    for (const [id, of] of counted) {
      add(names.get(id) ?? "", of);
      if (++added % tenantsAtOnce === 0) yield;
    }
  }
  yield* addForwarded(exposition, each, yield* scanForwarded(pins, ids));

  const reasons = yield* scanReasons(pins, [0, ...ids]);
  const packets = exposition.counter("xgw_xdp_packets_total", "Packets that XDP did not send, by why.");
  yield* each(reasons, (tenant, counts) => {
    for (const [reason, count] of Object.entries(counts))
      packets({ tenant, verdict: verdictOf(reason), reason }, count.packets);
  });
  const bytes = exposition.counter("xgw_xdp_bytes_total", "Bytes of the frames of these packets.");
  yield* each(reasons, (tenant, counts) => {
    for (const [reason, count] of Object.entries(counts))
      bytes({ tenant, verdict: verdictOf(reason), reason }, count.bytes);
  });

  const nft = yield* scanNftCounters(instance, tenants);
  const inXdp = yield* scanDenials(pins);
  const denied = exposition.counter("xgw_denied_packets_total", "Packets that the policy refused, in XDP or in nft.");
  const deniedBy = new Map(ids.map((id) => [id, [...(nft.denied.get(id) ?? []), ...(inXdp.get(id) ?? [])]] as const));
  yield* each(deniedBy, (tenant, denials) => {
    for (const direction of ["inbound", "outbound"] as const) {
      const refused = denials.filter((denial) => denial.direction === direction);
      if (refused.length > 0) denied({ tenant, direction }, packetsOf(refused));
    }
  });
  const refused = exposition.counter("xgw_refused_packets_total", "Packets that the nft rules refused, by why.");
  yield* each(nft.refused, (tenant, counts) => {
    for (const [reason, { packets }] of Object.entries(counts)) refused({ tenant, reason }, packets);
  });

  const counted = yield* scanShares(pins, tenants, shares);
  yield* addShares(exposition, each, counted);
  addTables(exposition, pins, counted);
  for (const [name, help, counts] of [
    ["xgw_sessions", "Live connections.", readSessions(pins)],
    ["xgw_neighbours", "Neighbours that the kernel has on the tenant's tunnel.", readNeighbourCounts(pins)],
  ] as const) {
    if (!counts) continue;
    const gauge = exposition.gauge(name, help);
    yield* each(new Map(ids.map((id) => [id, counts[id] ?? 0])), (tenant, count) => gauge({ tenant }, count));
  }
  for (const [name, help, resource] of [
    ["xgw_sessions_limit", "Live connections that nobody takes from the tenant; missing: no limit.", "sessions"],
    ["xgw_neighbours_limit", "Neighbours that nobody takes from the tenant; missing: no limit.", "neighbours"],
  ] as const) {
    const gauge = exposition.gauge(name, help);
    const limits = new Map(tenants.map(({ id, limits }) => [id, limits[resource] || shares[resource]]));
    yield* each(limits, (tenant, limit) => limit > 0 && gauge({ tenant }, limit));
  }
  addConntrack(exposition);
  addNics(exposition, pins, nics);

  const generation = exposition.gauge(
    "xgw_generation",
    "Number of the tenant's last change; odd while it is being changed.",
  );
  for (let at = 0; at < ids.length; at += tenantsAtOnce) {
    for (const [id, number] of readGenerations(pins, ids.slice(at, at + tenantsAtOnce)))
      generation({ tenant: names.get(id) ?? "" }, number);
    yield;
  }
}

type Each = <T>(counted: ReadonlyMap<number, T>, add: (tenant: string, of: T) => void) => Reading<void>;

function* addForwarded(
  exposition: Exposition,
  each: Each,
  forwarded: ReadonlyMap<number, readonly ForwardedByRule[]>,
): Reading<void> {
  for (const [unit, help] of [
    ["packets", "Packets sent, by the tier."],
    ["bytes", "Bytes of inner IP packets sent."],
  ] as const) {
    const counter = exposition.counter(`xgw_forwarded_${unit}_total`, help);
    yield* each(forwarded, (tenant, rules) => {
      for (const tier of tiers)
        counter(
          { tenant, tier },
          rules.reduce((sum, rule) => sum + rule.tiers[tier][unit], 0),
        );
    });
  }
}

function addConntrack(exposition: Exposition): void {
  const { entries, max, earlyDrops, drops, insertFailures } = readConntrack();
  const gauge = (name: string, help: string, value: number) => exposition.gauge(name, help)({}, value);
  const counter = (name: string, help: string, value: number) => exposition.counter(name, help)({}, value);
  gauge("xgw_conntrack_entries", "Connections in the network namespace, tenants' and others.", entries);
  gauge("xgw_conntrack_entries_max", "How many the kernel takes.", max);
  counter("xgw_conntrack_early_drops_total", "Connections that the kernel ended to make room for others.", earlyDrops);
  counter("xgw_conntrack_drops_total", "Packets dropped because the table was full.", drops);
  counter("xgw_conntrack_insert_failures_total", "Connections that found no place or no tuple.", insertFailures);
}

/** The table itself is not read: what is in use is counted where it is taken. */
function* addShares(exposition: Exposition, each: Each, counted: ReadonlyMap<number, TenantShares>): Reading<void> {
  const flows = exposition.gauge("xgw_flows", "Flows in the flow table, those of an older generation included.");
  yield* each(counted, (tenant, { usage }) => flows({ tenant }, usage.flows.used));
  const used = exposition.gauge("xgw_share_used", "Places in use of what tenants share.");
  yield* each(counted, (tenant, { usage }) => {
    for (const [resource, place] of Object.entries(usage)) used({ tenant, resource }, place.used);
  });
  const share = exposition.gauge("xgw_share", "Places that nobody takes from the tenant; missing: all.");
  yield* each(counted, (tenant, { usage }) => {
    for (const [resource, place] of Object.entries(usage))
      if (place.share > 0) share({ tenant, resource }, place.share);
  });
  const lost = exposition.counter("xgw_share_losses_total", "Times that a tenant did not get a place, or lost it.");
  yield* each(counted, (tenant, { losses }) => {
    for (const [loss, times] of Object.entries(losses)) lost({ tenant, loss: lossName(loss) }, times);
  });
}

/** `flowsEvicted` as `flows_evicted`, as labels are written. */
export const lossName = (field: string) => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const packetsOf = (denials: readonly Denial[]) => denials.reduce((sum, { packets }) => sum + packets, 0);
