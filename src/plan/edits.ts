/** What an edit of the config changed, in the config's own terms. Pure; takes the time that what changed takes. */

import type { Path } from "../config/finding.js";
import type { Config, ConfigTenant } from "../config/schema.js";
import type { PolicyRule } from "../model/policy.js";
import { describeRule } from "../model/rule-name.js";
import { notInPlace } from "./part.js";

export interface Edit {
  /** Name of the tenant; missing of what is the gateway's. */
  readonly tenant?: string;
  /** Such as `inbound rule 2 added: allow tcp 80`. */
  readonly text: string;
  /** Where it stands in the newer config; missing of what it has no more. */
  readonly path?: Path;
}

/** In the order of the newer config; what is gone comes with its tenant, and tenants that are gone come last. */
export function editsBetween(was: Config, now: Config): Edit[] {
  const [others, othersBefore] = notInPlace(now.tenants, was.tenants);
  const before = new Map(othersBefore.map((tenant) => [tenant.key, tenant]));
  const placeOf = new Map(others.length > 0 ? now.tenants.map((tenant, at) => [tenant.key, at]) : []);
  const edits = headEdits(was, now);
  for (const tenant of others) {
    const old = before.get(tenant.key);
    before.delete(tenant.key);
    const base: Path = ["tenants", placeOf.get(tenant.key) as number];
    if (!old) edits.push({ tenant: tenant.name, text: "added", path: base });
    else if (!isSame(old, tenant)) edits.push(...tenantEdits(old, tenant, base));
  }
  for (const { name } of before.values()) edits.push({ tenant: name, text: "removed" });
  return edits;
}

const isSame = (a: unknown, b: unknown) => a === b || JSON.stringify(a) === JSON.stringify(b);

/** A value that is told whole has so many characters at most. */
const shortValue = 40;

const told = (value: unknown) => {
  const text = JSON.stringify(value) ?? "none";
  return text.length > shortValue ? undefined : text.replaceAll('"', "");
};

function valueEdit(name: string, old: unknown, value: unknown): string {
  const [before, after] = [told(old), told(value)];
  return before === undefined || after === undefined ? `${name} changed` : `${name}: ${after} (was ${before})`;
}

function headEdits({ tenants: _, ...was }: Config, { tenants: __, ...now }: Config): Edit[] {
  const [old, value] = [was as Record<string, unknown>, now as Record<string, unknown>];
  return [...new Set([...Object.keys(old), ...Object.keys(value)])]
    .filter((name) => !isSame(old[name], value[name]))
    .map((name) => ({ text: valueEdit(name, old[name], value[name]), path: [name] }));
}

function tenantEdits(old: ConfigTenant, now: ConfigTenant, base: Path): Edit[] {
  const tenant = now.name;
  const edits: Edit[] = [];
  const add = (text: string, path?: Path) =>
    void edits.push({ tenant, text, ...(path ? { path: [...base, ...path] } : {}) });
  const list = <T>(name: keyof ConfigTenant, id: (one: T) => string, words: (one: T) => string) =>
    listEdits(old[name] as readonly T[], now[name] as readonly T[], id, words).forEach(({ text, at }) => {
      add(text, at === undefined ? undefined : [name, at]);
    });

  if (old.name !== now.name) add(`renamed, was ${old.name}`, ["name"]);
  if (old.tunnel !== now.tunnel) add(valueEdit("tunnel", old.tunnel, now.tunnel), ["tunnel"]);
  list<string>(
    "addresses",
    (one) => one,
    (one) => `address ${one}`,
  );
  list<ConfigTenant["routes"][number]>(
    "routes",
    ({ to }) => to,
    ({ to, via }) => `route ${to} via ${via}`,
  );
  list<ConfigTenant["publicIps"][number]>(
    "publicIps",
    ({ address }) => address,
    ({ address, to }) => `public address ${address} to ${to}`,
  );
  list<ConfigTenant["portForwards"][number]>(
    "portForwards",
    ({ address, protocol, port }) => `${address} ${protocol} ${port.from}`,
    ({ address, protocol, port, to }) => `port forward ${address} ${protocol} ${spanOf(port)} to ${to}`,
  );
  if (!isSame(old.snat, now.snat)) add(valueEdit("snat", old.snat?.address, now.snat?.address), ["snat"]);
  for (const direction of ["inbound", "outbound"] as const)
    for (const { text, at } of ruleEdits(old.policy[direction], now.policy[direction], direction))
      add(text, at === undefined ? ["policy"] : ["policy", direction, at]);
  if (old.policy.established !== now.policy.established)
    add(valueEdit("established", old.policy.established, now.policy.established), ["policy", "established"]);
  if (!isSame(old.limits, now.limits)) add(valueEdit("limits", old.limits, now.limits), ["limits"]);
  // What nobody has thought of here is still said to have changed.
  return edits.length > 0 ? edits : [{ tenant, text: "changed", path: base }];
}

const spanOf = ({ from, to }: { readonly from: number; readonly to: number }) =>
  from === to ? `${from}` : `${from}-${to}`;

interface ListEdit {
  readonly text: string;
  /** Index in the newer list. */
  readonly at?: number;
}

/** Of a list whose order means nothing. */
function listEdits<T>(
  was: readonly T[],
  now: readonly T[],
  id: (one: T) => string,
  words: (one: T) => string,
): ListEdit[] {
  const before = new Map(was.map((one) => [id(one), one]));
  const edits: ListEdit[] = [];
  for (const [at, one] of now.entries()) {
    const old = before.get(id(one));
    before.delete(id(one));
    if (old === undefined) edits.push({ text: `${words(one)} added`, at });
    else if (!isSame(old, one)) edits.push({ text: `${words(one)} changed`, at });
  }
  return [...edits, ...[...before.values()].map((old) => ({ text: `${words(old)} removed` }))];
}

/** The first rule that matches decides: what stands before and behind the edit is the same, and is left out. */
function ruleEdits(
  was: readonly PolicyRule[] | undefined,
  now: readonly PolicyRule[] | undefined,
  direction: "inbound" | "outbound",
): ListEdit[] {
  if (!was || !now)
    return was === now ? [] : [{ text: `${direction} ${now ? "list added" : "list removed: all may leave"}` }];
  let first = 0;
  while (first < Math.min(was.length, now.length) && isSame(was[first], now[first])) first++;
  let last = 0;
  while (last < Math.min(was.length, now.length) - first && isSame(was.at(-1 - last), now.at(-1 - last))) last++;
  const [gone, come] = [was.slice(first, was.length - last), now.slice(first, now.length - last)];
  const words = (rule: PolicyRule) => describeRule(rule, direction);
  const name = (at: number) => `${direction} rule ${first + at}`;
  const paired = gone.length === come.length ? gone.length : 0;
  return [
    ...come.slice(0, paired).map((rule, at) => ({
      text: `${name(at)} changed: ${words(rule)} (was ${words(gone[at] as PolicyRule)})`,
      at: first + at,
    })),
    ...gone.slice(paired).map((rule, at) => ({ text: `${name(at)} removed: ${words(rule)}` })),
    ...come.slice(paired).map((rule, at) => ({ text: `${name(at)} added: ${words(rule)}`, at: first + at })),
  ];
}

/** `tenant user1: inbound rule 2 added: allow tcp 80 (xgw.yaml:31)` */
export function editText({ tenant, text }: Edit, place?: { readonly file: string; readonly line: number }): string {
  const where = place && place.line > 0 ? ` (${place.file}:${place.line})` : "";
  return `${tenant === undefined ? "" : `tenant ${tenant}: `}${text}${where}`;
}
