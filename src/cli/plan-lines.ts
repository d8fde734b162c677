/** A plan as text, for people at 80 columns: a summary, then what is done and what for, if that is not too much. */

import type { ConfigTenant } from "../config/schema.js";
import { purposePath, purposeWords } from "../plan/config-words.js";
import { describeStep } from "../plan/describe.js";
import type { Outline, OutlineItem, TenantOutline } from "../plan/outline.js";
import type { Part } from "../plan/purpose.js";
import type { Step } from "../plan/steps.js";

/** The config that a plan is of: its tenants, and where things stand in its files. */
export interface Placed {
  readonly config: { readonly instance: string; readonly tenants: readonly ConfigTenant[] };
  locate(path: readonly (string | number)[]): { readonly file: string; readonly line: number };
}

export interface PlanView {
  /** Every step, under what it is for. */
  readonly verbose: boolean;
  /** Only this tenant, whole. */
  readonly tenant?: string | undefined;
}

const width = 80;
/** Tenants that a summary names. */
const namedMax = 20;
/** What is done is told of itself as long as it takes so many lines at most. */
const detailsMax = 90;
/** Steps of one purpose that are told in their own words, where that says more. */
const toldMax = 8;

export function* planLines(outline: Outline, placed: Placed, { verbose, tenant }: PlanView): Generator<string> {
  if (outline.steps === 0) return;
  const known = new Map(placed.config.tenants.map((one, at) => [one.name, { tenant: one, at }]));
  if (tenant === undefined) yield* summaryLines(outline, placed.config.instance);
  const tenants = tenant === undefined ? outline.tenants : outline.tenants.filter(({ name }) => name === tenant);
  const shared = tenant === undefined ? outline.shared : [];
  if (tenant === undefined && !verbose && detailsOf(outline) > detailsMax) {
    yield "";
    yield "what is done: --tenant NAME shows one tenant's, -v every step";
    return;
  }
  if (shared.length > 0) yield* ["", `the gateway: ${count(shared.length, "step")}`, ...sharedLines(shared, verbose)];
  for (const one of tenants) {
    if (tenant === undefined) yield "";
    yield* tenantLines(one, known.get(one.name), placed, verbose);
  }
}

const detailsOf = ({ shared, tenants }: Outline): number =>
  (shared.length > 0 ? sharedLines(shared, false).length + 2 : 0) +
  tenants.reduce((sum, { items }) => sum + items.length + 2, 0);

const count = (number: number, what: string) => `${number} ${plural(what, number)}`;

function plural(what: string, number: number): string {
  if (number === 1 || what === "limits" || what === "flows") return what;
  if (what.endsWith("address")) return `${what}es`;
  return what.endsWith("y") ? `${what.slice(0, -1)}ies` : `${what}s`;
}

const changes = ["removed", "changed", "new"] as const;

/** How many steps for whom; tenants that lose the most stand first. */
function* summaryLines({ steps, shared, tenants }: Outline, instance: string): Generator<string> {
  const byChange = changes.flatMap((change) => {
    const number = tenants.filter((tenant) => tenant.change === change).length;
    return number > 0 ? [`${count(number, "tenant")} ${change}`] : [];
  });
  yield [`${instance}: ${count(steps, "step")}`, ...byChange].join(", ");
  const rows: Row[] = [
    ...(shared.length > 0 ? [{ name: "the gateway", change: "", steps: shared.length, what: kindsOf(shared) }] : []),
    ...[...tenants]
      .sort((a, b) => changes.indexOf(a.change) - changes.indexOf(b.change) || b.steps - a.steps)
      .slice(0, namedMax)
      .map((tenant) => ({ ...tenant, what: partsOf(tenant) })),
  ];
  const wide = (of: (row: Row) => string) => Math.max(...rows.map((row) => of(row).length));
  const [names, kinds, numbers] = [
    wide(({ name }) => name),
    wide(({ change }) => change),
    wide((row) => `${row.steps}`),
  ];
  for (const { name, change, steps, what } of rows)
    yield cut(`  ${name.padEnd(names)}  ${change.padEnd(kinds)}  ${String(steps).padStart(numbers)}  ${what}`);
  const others = tenants.length - namedMax;
  if (others > 0) {
    const told = rows.reduce((sum, row) => sum + row.steps, 0);
    yield `  and ${count(others, "more tenant")}: ${count(steps - told, "step")}`;
  }
}

interface Row {
  readonly name: string;
  readonly change: string;
  readonly steps: number;
  readonly what: string;
}

const cut = (line: string) => (line.length > width ? `${line.slice(0, width - 1)}…` : line);

/** What a tenant that comes or goes is made of in any case says nothing. */
const unsaid: readonly Part[] = ["tenant", "limits", "endpoint", "policy", "flows"];

function partsOf({ change, items }: TenantOutline): string {
  const numbers = new Map<string, number>();
  for (const { part } of items) {
    if (change !== "changed" && unsaid.includes(part)) continue;
    const what = part.endsWith("rule") ? "rule" : part;
    numbers.set(what, (numbers.get(what) ?? 0) + 1);
  }
  return [...numbers]
    .filter(([what]) => what !== "flows" || numbers.size === 1)
    .map(([what, number]) => (unsaid.includes(what as Part) && what !== "endpoint" ? what : count(number, what)))
    .join(", ");
}

/** Such as `3 sysctls, 2 entries`. */
function kindsOf(steps: readonly Step[]): string {
  const numbers = new Map<string, number>();
  for (const { kind } of steps) {
    const thing = kind.includes(".") ? kind.slice(0, kind.indexOf(".")) : "attachment";
    numbers.set(thing, (numbers.get(thing) ?? 0) + 1);
  }
  return [...numbers].map(([thing, number]) => (thing === "rules" ? thing : count(number, thing))).join(", ");
}

/** Pages of policies are named by what is in them: as cells, they say nothing to people. */
function sharedLines(steps: readonly Step[], verbose: boolean): string[] {
  const isPage = (step: Step) => "entry" in step && step.entry.map === "policy_services";
  const pages = verbose ? [] : steps.filter(isPage);
  const told = verbose ? steps : steps.filter((step) => !isPage(step));
  return [
    ...told.map((step) => `  ${describeStep(step)}`),
    ...(pages.length > 0 ? [`  ~ services of policies that tenants share (${count(pages.length, "step")})`] : []),
  ];
}

function* tenantLines(
  { name, change, steps, items }: TenantOutline,
  known: KnownTenant | undefined,
  placed: Placed,
  verbose: boolean,
): Generator<string> {
  yield `tenant ${name}, ${change}: ${count(steps, "step")}`;
  for (const item of items) {
    const { file, line } = placeOf(item, known, placed) ?? {};
    const place = file === undefined ? "" : `${file}:${line}`;
    const told = item.steps.map((step) => `    ${describeStep(step)}`);
    const saysMore = item.part === "tenant" && change === "changed" && told.length <= toldMax;
    const number = verbose || item.steps.length === 1 ? "" : ` (${item.steps.length} steps)`;
    yield* withPlace(`  ${item.sign} ${purposeWords(item, known?.tenant)}${number}`, place);
    if (verbose || saysMore) yield* told;
  }
}

/** A tenant of the config, and its index there. */
export interface KnownTenant {
  readonly tenant: ConfigTenant;
  readonly at: number;
}

export function placeOf(
  item: OutlineItem,
  known: KnownTenant | undefined,
  placed: Placed,
): { readonly file: string; readonly line: number } | undefined {
  const path = known && purposePath(item, known.tenant, known.at);
  if (!path) return undefined;
  const { file, line } = placed.locate(path);
  return line > 0 ? { file, line } : undefined;
}

/** The place stands behind, or below where there is no room. */
function withPlace(line: string, place: string): string[] {
  if (place === "") return [line];
  return line.length + 2 + place.length <= width ? [`${line}  ${place}`] : [line, `      ${place}`];
}
