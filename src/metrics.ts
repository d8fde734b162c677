/** The gateway's figures as Prometheus metrics: read from the kernel when they are asked for, and only then. */

import { Counter, Gauge, Registry } from "prom-client";
import type { DaemonReport } from "./daemon-socket.js";
import { readForwarded, tiers } from "./datapath/accounting.js";
import { countFlows, readReasons } from "./datapath/counters.js";
import { readGenerations } from "./datapath/generations.js";
import { Pins } from "./datapath/pins.js";
import type { Desired } from "./model/desired.js";
import { readNftCounters } from "./observe/nft-counters.js";

/** Of one scrape. A tenant is a label, an address never. */
export async function readMetrics(desired: Desired, daemon: DaemonReport): Promise<string> {
  const registry = new Registry();
  addDaemon(registry, daemon);
  addTenants(registry, desired);
  return registry.metrics();
}

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE;

const seconds = (time: string) => Date.parse(time) / 1000;

function addDaemon(registry: Registry, { config, startedAt, ...daemon }: DaemonReport): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: number) => new Gauge({ name, help, registers }).set(value);
  const counter = (name: string, help: string, value: number) => new Counter({ name, help, registers }).inc(value);
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
  const repairs = new Counter({
    name: "xgw_repairs_total",
    help: "Steps of repairs, by the kind of thing.",
    labelNames: ["kind"],
    registers,
  });
  for (const [kind, count] of Object.entries(daemon.repairs)) repairs.inc({ kind }, count);
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
  const ofTenants = (name: string, help: string, counts: Readonly<Record<string, number>>) => {
    const metric = new Counter({ name, help, labelNames: ["tenant"], registers });
    for (const [tenant, count] of Object.entries(counts)) metric.inc({ tenant }, count);
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

function addTenants(registry: Registry, { instance, tenants }: Desired): void {
  const registers = [registry];
  const pins = new Pins(instance);
  const ids = tenants.map(({ id }) => id);
  const names = new Map([[0, ""], ...tenants.map(({ id, name }) => [id, name] as const)]);
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ["tenant"], registers });

  const forwardedPackets = counter("xgw_forwarded_packets_total", "Packets sent, by the tier.", ["tenant", "tier"]);
  const forwardedBytes = counter("xgw_forwarded_bytes_total", "Bytes of inner IP packets sent.", ["tenant", "tier"]);
  for (const [id, rules] of readForwarded(pins, ids))
    for (const tier of tiers) {
      const labels = { tenant: names.get(id) ?? "", tier };
      forwardedPackets.inc(labels, sum(rules.map((rule) => rule.tiers[tier].packets)));
      forwardedBytes.inc(labels, sum(rules.map((rule) => rule.tiers[tier].bytes)));
    }
  const packets = counter("xgw_xdp_packets_total", "Packets that XDP did not send, by why.", ["tenant", "reason"]);
  const bytes = counter("xgw_xdp_bytes_total", "Bytes of the frames of these packets.", ["tenant", "reason"]);
  for (const [id, counts] of readReasons(pins, [0, ...ids]))
    for (const [reason, count] of Object.entries(counts)) {
      packets.inc({ tenant: names.get(id) ?? "", reason }, count.packets);
      bytes.inc({ tenant: names.get(id) ?? "", reason }, count.bytes);
    }
  const denied = counter("xgw_denied_packets_total", "Packets that the policy refused.", ["tenant", "direction"]);
  const nft = readNftCounters(instance, tenants);
  for (const [id, refusals] of nft.denied)
    for (const refusal of refusals)
      denied.inc({ tenant: names.get(id) ?? "", direction: refusal.direction }, refusal.packets);
  const refused = counter("xgw_refused_packets_total", "Packets that the nft rules refused, by why.", [
    "tenant",
    "reason",
  ]);
  for (const [id, counts] of nft.refused)
    for (const [reason, { packets }] of Object.entries(counts))
      refused.inc({ tenant: names.get(id) ?? "", reason }, packets);
  const flows = gauge("xgw_flows", "Flows in the flow table, those of an older generation included.");
  const counted = countFlows(pins);
  for (const { id, name } of tenants) flows.set({ tenant: name }, counted.get(id) ?? 0);
  const generations = gauge("xgw_generation", "Number of the tenant's last change; odd while it is being changed.");
  for (const [id, generation] of readGenerations(pins, ids))
    generations.set({ tenant: names.get(id) ?? "" }, generation);
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
