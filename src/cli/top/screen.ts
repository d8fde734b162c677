/** What `xgw top` shows, as lines that are no wider than the terminal. Pure. */

import type { Top } from "../../flow/schema.js";
import { bitsOf, packetsOf } from "../../top/rates.js";
import type { TenantRates, TopTable } from "../../top/schema.js";
import { scaled, tupleWords } from "../flow-lines.js";
import { flowsBy, help, type Sort, type State } from "./state.js";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The tenants that are meant, in their order. */
export function ranked(tenants: readonly TenantRates[], { sort, isReversed, filter }: State): TenantRates[] {
  const meant = tenants.filter(({ name, key }) => name.includes(filter) || String(key).includes(filter));
  const weights = new Map(meant.map((tenant) => [tenant, weightOf(tenant, sort)]));
  const compare = (a: TenantRates, b: TenantRates) =>
    (weights.get(b) ?? 0) - (weights.get(a) ?? 0) || a.name.localeCompare(b.name, "en");
  return meant.sort(isReversed ? (a, b) => compare(b, a) : compare);
}

function weightOf(tenant: TenantRates, sort: Sort): number {
  switch (sort) {
    case "bits":
      return bitsOf(tenant);
    case "packets":
      return packetsOf(tenant);
    case "dropped":
      return tenant.droppedPerSecond;
    case "sessions":
      return tenant.sessions ?? 0;
    case "flows":
      return tenant.flows;
    case "name":
      return 0;
  }
}

/** A number in six characters, such as `1.21 M` without its space. */
const short = (number: number): string => scaled(number, "").replace(" ", "");

const percent = (part: number, whole: number): string =>
  whole === 0 ? "" : ` (${Math.floor((100 * part) / whole)} %)`;

/** How the gateway is as a whole, and the columns' names. */
function tenantsHead(table: TopTable, columns: number): string[] {
  const { conntrack, flowTable, total } = table;
  const of = (name: string, { packetsPerSecond, bitsPerSecond }: TopTable["total"]["xdp"]) =>
    `${name} ${short(packetsPerSecond)}p/s ${short(bitsPerSecond)}bit/s`;
  return [
    `conntrack ${conntrack.entries} of ${conntrack.max}${percent(conntrack.entries, conntrack.max)}, flow table ${flowTable.used} of ${flowTable.lines}${percent(flowTable.used, flowTable.lines)}`,
    `${of("XDP", total.xdp)}, ${of("flowtable", total.flowtable)}, ${of("stack", total.stack)}`,
    "",
    `${"".padEnd(nameWidth(columns))}${["XDP", "FLOWTABLE", "STACK"].map((tier) => tier.padStart(14)).join("")}${"DROP".padStart(7)}${"SESSIONS".padStart(12)}${"XDP".padStart(6)}`,
    `${" TENANT".padEnd(nameWidth(columns))}${"    p/s  bit/s".repeat(3)}${"p/s".padStart(7)}${"/LIMIT".padStart(12)}${"FLOWS".padStart(6)}`,
  ];
}

const numbersWidth = 67;
const nameWidth = (columns: number): number => Math.max(8, Math.min(40, columns - numbersWidth));

function tenantRow(tenant: TenantRates, mark: string, columns: number): string {
  const tiers = [tenant.xdp, tenant.flowtable, tenant.stack].flatMap((tier) => [
    tier.packetsPerSecond,
    tier.bitsPerSecond,
  ]);
  const rates = [...tiers, tenant.droppedPerSecond].map((rate) => short(rate).padStart(7)).join("");
  const limit = tenant.sessionsLimit === 0 ? "-" : short(tenant.sessionsLimit);
  const sessions = tenant.sessions === undefined ? "?" : short(tenant.sessions);
  const width = nameWidth(columns);
  return `${`${mark}${tenant.name}`.slice(0, width - 1).padEnd(width)}${rates}${`${sessions}/${limit}`.padStart(12)}${short(tenant.flows).padStart(6)}`;
}

function flowRows({ flows, rest }: Top): string[] {
  const rates = (bits: number, packets: number) => `${short(bits).padStart(8)}${short(packets).padStart(8)}`;
  return [
    `${" PROTO ARRIVES AS".padEnd(53)}${"bit/s".padStart(8)}${"p/s".padStart(8)} RULE`,
    ...flows.map(({ protocol, arrives, bitsPerSecond, packetsPerSecond, rule }) => {
      const name = rule ? `${rule.direction === "inbound" ? "in" : "out"}:${rule.rule}` : "none";
      return `${` ${protocol.padEnd(5)} ${tupleWords(arrives)}`.padEnd(53)}${rates(bitsPerSecond, packetsPerSecond)} ${name}`;
    }),
    `${` ${rest.flows} others`.padEnd(53)}${rates(rest.bitsPerSecond, rest.packetsPerSecond)}`,
  ];
}

/** Exactly as many as the terminal has rows. Without a table or a report, the first interval is not over. */
export function screenLines(
  state: State,
  table: TopTable | undefined,
  flows: Top | undefined,
  { columns, rows }: Size,
): string[] {
  const shown = state.view === "flows" ? flows : table;
  const what =
    state.view === "flows" ? `flows of ${state.tenant} in XDP by ${flowsBy(state.sort)}` : `tenants by ${state.sort}`;
  const more = [
    ...(state.view === "tenants" && state.isReversed ? ["least first"] : []),
    ...(state.view === "flows" || state.filter === "" ? [] : [`with "${state.filter}"`]),
    ...(state.isPaused ? ["standing still"] : []),
  ];
  const time = shown ? ` at ${shown.at.slice(11, 19)} UTC, over ${shown.seconds.toFixed(1)} s` : "";
  const title = `xgw top: ${[what, ...more].join(", ")}${time}`;
  const foot =
    state.typing === undefined
      ? "q quit  h help  Enter flows  Esc back  s sort  r reverse  / filter  Space pause"
      : `filter: ${state.typing}_`;
  const room = Math.max(0, rows - 2);
  const body = state.showsHelp ? ["", ...help] : bodyLines(state, table, flows, columns, room);
  const lines = [title, ...body.slice(0, room)];
  while (lines.length < rows - 1) lines.push("");
  return [...lines, foot].slice(0, rows).map((line) => line.slice(0, columns));
}

function bodyLines(
  state: State,
  table: TopTable | undefined,
  flows: Top | undefined,
  columns: number,
  room: number,
): string[] {
  if (state.view === "flows") return flows ? flowRows(flows) : ["", "the first interval is not over"];
  if (!table) return ["", "the first interval is not over"];
  const head = tenantsHead(table, columns);
  const tenants = ranked(table.tenants, state);
  const height = Math.max(1, room - head.length);
  const selected = Math.min(state.selected, Math.max(0, tenants.length - 1));
  const first = Math.max(0, selected - height + 1);
  const rows = tenants.slice(first, first + height);
  return [...head, ...rows.map((tenant, n) => tenantRow(tenant, first + n === selected ? ">" : " ", columns))];
}

/** One interval of the batch mode. */
export function batchLines(table: TopTable, state: State, limit: number): string[] {
  const tenants = ranked(table.tenants, state);
  const left = tenants.length - limit;
  return [
    `${table.at}, over ${table.seconds.toFixed(1)} s: ${table.instance}, ${tenants.length} tenants by ${state.sort}`,
    ...tenantsHead(table, 80),
    ...tenants.slice(0, limit).map((tenant) => tenantRow(tenant, " ", 80)),
    ...(left > 0 ? [` ${left} more`] : []),
  ];
}
