/** The steps from observed to desired. Pure. */

import { nobody, routeTableBase } from "../model/desired.js";
import { admissionSets } from "./admission.js";
import { damagedRules, deniedMark } from "./rules.js";
import {
  byId,
  type Device,
  type Element,
  type Entry,
  entryId,
  nameOfIndex,
  type Route,
  renamed,
  type State,
  sidesOf,
  tenantIds,
  tenantOfElement,
} from "./state.js";
import { phaseOrder, type Step } from "./steps.js";
import { suffices, sysctlsOf } from "./sysctls.js";

interface Difference<T, N extends string> {
  readonly added: readonly [N, T][];
  readonly changed: readonly [N, T, T][];
  readonly removed: readonly [N, T][];
}

/** Of plain data; what is undefined counts as missing. Called for hundreds of thousands of records. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name in left) if (!isSame(left[name], right[name])) return false;
  for (const name in right) if (right[name] !== undefined && left[name] === undefined) return false;
  return true;
}

/** Old to new. */
function difference<T, N extends string>(was: ReadonlyMap<N, T>, is: ReadonlyMap<N, T>): Difference<T, N> {
  const added: [N, T][] = [];
  const changed: [N, T, T][] = [];
  const removed: [N, T][] = [];
  for (const [name, record] of is) {
    const old = was.get(name);
    if (old === undefined) added.push([name, record]);
    else if (!isSame(old, record)) changed.push([name, record, old]);
  }
  for (const [name, record] of was) if (!is.has(name)) removed.push([name, record]);
  return { added, changed, removed };
}

/** In the order in which they are to run. Empty when observed is desired. */
export function diff(desired: State, observed: State): Step[] {
  const devices = deviceSteps(desired, observed);
  const kept = keptBy(devices, observed);
  const steps: Step[] = [
    ...sysctlSteps(desired, kept),
    ...tagOffloadSteps(desired, kept),
    ...devices,
    ...ruleOrderSteps(desired, observed),
    ...addressSteps(desired, kept),
    ...neighbourSteps(desired, kept),
    ...routeSteps(desired, kept),
    ...nftSteps(desired, kept),
    ...entrySteps(desired, kept),
    ...datapathSteps(desired, kept),
  ];
  const order = (step: Step) => phaseOrder.indexOf(step.kind);
  return [...steps, ...settlingSteps(desired, observed, steps)].sort((a, b) => order(a) - order(b));
}

/** What follows from the other steps for the tenants that they concern. */
function settlingSteps(desired: State, observed: State, steps: readonly Step[]): Step[] {
  const touched = [...touchedTenants(desired, observed, steps)];
  return [
    ...revocations(
      desired,
      observed,
      touched.filter((tenant) => tenant !== nobody),
    ),
    ...touched.map((tenant): Step => ({ kind: "generation.bump", tenant })),
  ];
}

/** A policy's cell that comes from another rule by now takes nothing away, unless that rule denies. */
function isTaken(now: Element, was: Element): boolean {
  if (now.set !== "inbound" && now.set !== "outbound") return true;
  return Number(was.value) < deniedMark && Number(now.value) >= deniedMark;
}

/** Nothing is to be revoked where nothing is taken away; a table that was lost, or a change cut short, may have had more. */
function revocations(desired: State, observed: State, touched: readonly number[]): Step[] {
  if (touched.length === 0) return [];
  const { changed, removed } = difference(observed.elements, desired.elements);
  const lost = new Set<number>();
  const gone = new Set<number>();
  const taken = changed.filter(([, now, was]) => isTaken(now, was)).map(([, , was]) => was);
  for (const element of [...removed.map(([, element]) => element), ...taken]) {
    if (element.set === "zones") gone.add(tenantOfElement(element));
    else if (admissionSets.includes(element.set)) lost.add(tenantOfElement(element));
  }
  const wanted = new Set([...desired.elements.values()].filter(({ set }) => set === "zones").map(tenantOfElement));
  return touched.flatMap((tenant): Step[] => {
    if (gone.has(tenant) || !wanted.has(tenant)) return [{ kind: "connections.revoke", tenant, all: true }];
    const doubtful = isDoubtful(observed.rules) || observed.unsettled.has(tenant) || lost.has(tenant);
    if (!doubtful || desired.keepsConnections.has(tenant)) return [];
    return [{ kind: "connections.revoke", tenant, all: false }];
  });
}

/** Whether connections may have been admitted that no rule of ours did. */
const isDoubtful = (rules: string) => rules === "" || rules === damagedRules;

function sysctlSteps(desired: State, observed: State): Step[] {
  const { added, changed } = difference(observed.sysctls, desired.sysctls);
  return [...added, ...changed]
    .filter(([name, value, was]) => was === undefined || !suffices(name, was, value))
    .map(([name, value, was]) => ({ kind: "sysctl.set", name, value, was }));
}

function tagOffloadSteps(desired: State, observed: State): Step[] {
  const { added, changed } = difference(observed.tagOffloads, desired.tagOffloads);
  return [...added, ...changed].map(([, offload]) => ({ kind: "tag-offload.set", offload }));
}

function deviceSteps(desired: State, observed: State): Step[] {
  const { added, changed, removed } = difference(observed.devices, desired.devices);
  return [
    ...added.map(([name, device]): Step => ({ kind: "device.add", name, device })),
    ...changed.map(
      ([name, device, was]): Step => ({
        kind: isSameDevice(device, was) ? "device.set" : "device.replace",
        name,
        device,
        was,
      }),
    ),
    ...removed.map(([name, device]): Step => ({ kind: "device.delete", name, device })),
  ];
}

/**
 * Without what goes with a device that is made anew: all of it is to be added again, and nothing of it to be deleted. Entries
 * and links know the device that goes by its ifindex, which the new one does not get.
 */
function keptBy(deviceSteps: readonly Step[], observed: State): State {
  const replaced = new Set(deviceSteps.flatMap((step) => (step.kind === "device.replace" ? [step.name] : [])));
  if (replaced.size === 0) return observed;
  const without = <T>(records: ReadonlyMap<string, T>, deviceOf: (record: T) => string | undefined) =>
    new Map([...records].filter(([, record]) => !replaced.has(deviceOf(record) ?? "")));
  const lostSysctls = new Set(
    sysctlsOf([...observed.devices].filter(([device]) => replaced.has(device))).map(([name]) => name),
  );
  const nameOf = (device: string) => (replaced.has(device) ? nameOfIndex(observed.ifindexes.get(device) ?? 0) : device);
  return {
    ...observed,
    sysctls: new Map([...observed.sysctls].filter(([name]) => !lostSysctls.has(name))),
    entries: byId(
      Array.from(observed.entries.values(), (entry) => renamed(entry, nameOf)),
      entryId,
    ),
    attachments: new Map(
      Array.from(observed.attachments, ([name, one]) => [name, { ...one, device: nameOf(one.device) }]),
    ),
    addresses: without(observed.addresses, ({ device }) => device),
    neighbours: without(observed.neighbours, ({ device }) => device),
    routes: without(observed.routes, ({ tunnel }) => tunnel?.device),
    flowtableDevices: new Map([...observed.flowtableDevices].filter(([device]) => !replaced.has(device))),
  };
}

function ruleOrderSteps(desired: State, observed: State): Step[] {
  const { added, changed } = difference(observed.ruleOrder, desired.ruleOrder);
  return [...added, ...changed].map(([family, order]) => ({
    kind: order === "tenants first" ? "rule-order.set" : "rule-order.restore",
    family,
  }));
}

/** What the kernel cannot change on a living device: its kind, a VRF's table, a tunnel's key and local address. */
function isSameDevice(a: Device, b: Device): boolean {
  if (a.kind === "vrf") return b.kind === "vrf" && a.routeTable === b.routeTable;
  if (b.kind === "vrf") return false;
  return a.kind === b.kind && a.key === b.key && a.local === b.local;
}

function addressSteps(desired: State, observed: State): Step[] {
  const { added, changed, removed } = difference(observed.addresses, desired.addresses);
  return [
    ...[...added, ...changed].map(([, address]): Step => ({ kind: "address.add", address })),
    ...removed.map(([, address]): Step => ({ kind: "address.delete", address })),
  ];
}

function neighbourSteps(desired: State, observed: State): Step[] {
  const { added, changed, removed } = difference(observed.neighbours, desired.neighbours);
  return [
    ...[...added, ...changed].map(([, neighbour]): Step => ({ kind: "neighbour.set", neighbour })),
    ...removed.map(([, neighbour]): Step => ({ kind: "neighbour.delete", neighbour })),
  ];
}

function routeSteps(desired: State, observed: State): Step[] {
  const { added, changed, removed } = difference(observed.routes, desired.routes);
  return [
    ...[...added, ...changed].map(([, route, was]): Step => ({ kind: "route.set", route, was })),
    ...removed.map(([, route]): Step => ({ kind: "route.delete", route })),
  ];
}

/** New rules come with an empty table, so everything in it is added again, in the same transaction. */
function nftSteps(desired: State, observed: State): Step[] {
  if (desired.rules === "") return observed.rules === "" ? [] : [{ kind: "rules.delete" }];
  const anew = desired.rules !== observed.rules;
  const known: Pick<State, "elements" | "flowtableDevices"> = anew
    ? { elements: new Map(), flowtableDevices: new Map() }
    : observed;
  const { added, changed, removed } = difference(known.elements, desired.elements);
  const others = (these: State["flowtableDevices"], those: State["flowtableDevices"]) =>
    [...these].filter(([device, flowtable]) => those.get(device) !== flowtable);
  return [
    ...(anew ? [{ kind: "rules.set", was: observed.rules } as const] : []),
    ...others(known.flowtableDevices, desired.flowtableDevices).map(
      ([device, flowtable]): Step => ({ kind: "flowtable.delete", flowtable, device }),
    ),
    ...others(desired.flowtableDevices, known.flowtableDevices).map(
      ([device, flowtable]): Step => ({ kind: "flowtable.add", flowtable, device }),
    ),
    ...[...added, ...changed].map(([, element, was]): Step => ({ kind: "element.set", element, was })),
    ...removed.map(([, element]): Step => ({ kind: "element.delete", element })),
  ];
}

function entrySteps(desired: State, observed: State): Step[] {
  const { added, changed, removed } = difference(observed.entries, desired.entries);
  return [
    ...[...added, ...changed].map(([, entry, was]): Step => ({ kind: "entry.set", entry, was })),
    ...removed.map(([, entry]): Step => ({ kind: "entry.delete", entry })),
  ];
}

function datapathSteps(desired: State, observed: State): Step[] {
  const { added, changed, removed } = difference(observed.attachments, desired.attachments);
  return [
    ...[...observed.unpinnedMaps].map((map): Step => ({ kind: "map.pin", map })),
    ...[...observed.moving].map(([map, why]): Step => ({ kind: "map.move", map, why })),
    ...[...desired.datapaths]
      .filter((fingerprint) => !observed.datapaths.has(fingerprint))
      .map((fingerprint): Step => ({ kind: "datapath.load", fingerprint })),
    ...[...added, ...changed].map(([name, attachment, was]): Step => ({ kind: "attach", name, attachment, was })),
    ...removed.map(([name, attachment]): Step => ({ kind: "detach", name, attachment })),
    ...[...observed.datapaths]
      .filter((fingerprint) => !desired.datapaths.has(fingerprint))
      .map((fingerprint): Step => ({ kind: "datapath.unload", fingerprint })),
  ];
}

/**
 * The tenants that existed before and that any step concerns: their flows are decided anew. A tenant that is being added
 * has no flows, and the others notice nothing. New programs concern all of them: what an older one has learned may be of
 * another NIC, MAC address or VLAN.
 */
function touchedTenants(desired: State, observed: State, steps: readonly Step[]): Set<number> {
  const byDevice = new Map<string, number>();
  for (const state of [observed, desired])
    for (const [name, device] of state.devices)
      if (device.kind === "vrf") byDevice.set(name, device.routeTable - routeTableBase);
  for (const state of [observed, desired])
    for (const [name, device] of state.devices)
      if (device.kind !== "vrf") byDevice.set(name, byDevice.get(device.vrf) ?? 0);
  const known = knownTenants(observed);
  const touched = new Set(observed.unsettled);
  for (const step of steps) for (const tenant of tenantsOf(step, byDevice)) if (known.has(tenant)) touched.add(tenant);
  if (observed.datapaths.size > 0 && steps.some(changesKeys)) touched.add(nobody);
  return changesSides(observed, steps) ? new Set([...touched, ...known]) : touched;
}

/** Those that have flows, maybe: by the maps, and by the devices where the maps have been lost. */
function knownTenants({ entries, devices }: State): Set<number> {
  const vrfs = [...devices.values()].flatMap((device) =>
    device.kind === "vrf" ? [device.routeTable - routeTableBase] : [],
  );
  return new Set([...tenantIds(entries.values()), ...vrfs]);
}

/** Whether packets come in or go out elsewhere, or as other frames: not when only the programs are newer. */
function changesSides(observed: State, steps: readonly Step[]): boolean {
  const before = new Set([...observed.datapaths].map(sidesOf));
  return steps.some((step) => step.kind === "datapath.load" && !before.has(sidesOf(step.fingerprint)));
}

/** Whether another set of GRE keys is known afterwards: what the programs remember of unknown keys is of no use then. */
function changesKeys(step: Step): boolean {
  if (step.kind === "entry.set") return step.entry.map === "tenants" && step.was === undefined;
  return step.kind === "entry.delete" && step.entry.map === "tenants";
}

function tenantsOf(step: Step, byDevice: ReadonlyMap<string, number>): number[] {
  const ofDevice = (name: string) => [byDevice.get(name) ?? 0];
  switch (step.kind) {
    case "device.add":
    case "device.set":
    case "device.replace":
    case "device.delete":
      return ofDevice(step.name);
    case "address.add":
    case "address.delete":
      return ofDevice(step.address.device);
    case "neighbour.set":
    case "neighbour.delete":
      return ofDevice(step.neighbour.device);
    case "route.set":
    case "route.delete":
      return [tenantOfRoute(step.route)];
    case "element.set":
    case "element.delete":
      return [tenantOfElement(step.element)];
    case "entry.set":
    case "entry.delete":
      return [tenantOfEntry(step.entry)];
    default:
      return [];
  }
}

const tenantOfRoute = (route: Route) => route.routeTable - routeTableBase;
function tenantOfEntry(entry: Entry): number {
  switch (entry.map) {
    case "tenants":
      return entry.value.id;
    case "settings":
    case "limits": // how much a tenant may have changes no flow
    case "nics":
    case "bond_members":
    case "policy_services":
      return nobody;
    default:
      return entry.tenant;
  }
}
