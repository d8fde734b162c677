/**
 * The gateway: what the config wants, what is there, and the way from one to the other. Every command and the daemon go
 * through here.
 */

import type { Config } from "./config/schema.js";
import { checkXdp, detach, observeAttachments } from "./datapath/attachments.js";
import type { Constants } from "./datapath/constants.js";
import { deviceNames, observeEntries } from "./datapath/entries.js";
import { closeGenerations, unsettledTenants } from "./datapath/generations.js";
import type { DeviceNames } from "./datapath/layout.js";
import { mapsToMove, settleOther } from "./datapath/move.js";
import { fingerprintOf, objectsFor } from "./datapath/objects.js";
import { checkBpffs, Pins } from "./datapath/pins.js";
import { isWhole, unpinnedMaps } from "./datapath/programs.js";
import { observeRedirectTargets, txIsRedirect } from "./datapath/redirect-targets.js";
import { reclaimTemplates } from "./datapath/templates.js";
import { toXgwError, XgwError } from "./errors.js";
import { execute, type Plan } from "./execute.js";
import { findingText } from "./finding.js";
import { deleteConnections, readConnections } from "./kernel/conntrack.js";
import { namespaceInode } from "./kernel/namespace.js";
import { checkHost, loadModules } from "./kernel/preflight.js";
import { families, putBack } from "./kernel/routing-rules.js";
import { readLinks } from "./kernel/rtnetlink.js";
import { removeDevices, removeFences, removeRoutes, removeRules } from "./kernel/slow-path.js";
import { readSysctl } from "./kernel/sysctl.js";
import { readTimeouts } from "./kernel/timeouts.js";
import { buildDesired } from "./model/build.js";
import { type Desired, nobody } from "./model/desired.js";
import { observeInTheWay } from "./observe/in-the-way.js";
import { fixedSysctls } from "./observe/kernel-tables.js";
import { checkUnderlayAddress } from "./observe/machine-addresses.js";
import { observeSides, type Sides } from "./observe/sides.js";
import {
  checkForeignDevices,
  idsInUse,
  idsOfOthers,
  type ObservedSlowPath,
  observeSlowPath,
  observeSysctls,
} from "./observe/slow-path.js";
import { observeTagOffloads, tagFindings, tagOffloadsNow } from "./observe/tag-offloads.js";
import { describeStep } from "./plan/describe.js";
import { diff } from "./plan/diff.js";
import { instanceOf } from "./plan/owner.js";
import { type RenderContext, render } from "./plan/render.js";
import { damagedRules, rulesVersion } from "./plan/rules.js";
import { type State, tenantIds } from "./plan/state.js";
import type { Step } from "./plan/steps.js";
import { reversePathOfAll, sysctlsOf } from "./plan/sysctls.js";

export { execute, type Plan } from "./execute.js";

/**
 * What a change of the config would do. A repair does without the look at the underlay's address: the rules that keep tenants apart
 * are put right also while it is away.
 *
 * @throws as `plan` does; KernelError when no device has `underlay.address`
 */
export async function planChange(config: Config): Promise<Plan> {
  checkHost();
  checkUnderlayAddress(config);
  return plan(config);
}

/** The config in force, and what it was made into. */
export interface InForce extends Pick<Plan, "desired" | "constants" | "context"> {
  readonly config: Config;
}

/**
 * Compares the config with the kernel. Changes nothing.
 *
 * @param countsSessions false on kernels that take no programs on their own functions: for tests of all the rest
 * @throws PermissionError, KernelError, ForeignError
 */
export async function plan(config: Config, countsSessions = true): Promise<Plan> {
  checkHost();
  checkBpffs();
  const pins = new Pins(config.instance);
  const slowPath = observeSlowPath(config.instance);
  const taken = idsOfOthers(config.instance, slowPath.links);
  const desired = buildDesired(config, idsInUse(slowPath.state.devices), (id) => taken.has(id));
  const sides = observeSides(desired, slowPath.links);
  checkForeignDevices(desired, slowPath.links);
  const names = deviceNames(slowPath.links);
  checkXdp(pins, desired, names);
  const offloads = observeTagOffloads(desired, slowPath.links);
  const redirects = observeRedirectTargets(desired, slowPath.links, names);
  const constants: Constants = {
    ...readConstants(config, desired, sides, countsSessions),
    ...(txIsRedirect(desired, slowPath.links) ? { txIsRedirect: true } : {}),
  };
  const fingerprint = fingerprintOf(constants);
  const context: RenderContext = {
    underlayMtu: sides.underlay.mtu,
    ...(sides.uplink ? { uplinkMtu: sides.uplink.mtu } : {}),
    underlayDevices: sides.underlayDevices.map(({ name }) => name),
    isReversePathStrict: readSysctl(reversePathOfAll) === "1",
    bondMembers: sides.bondMembers,
    redirectTargets: redirects.targets,
    tagOffloads: offloads.filter(({ isOn, isChangeable }) => isChangeable || !isOn),
    timeouts: readTimeouts(),
    families: families(),
    fingerprint,
    fixedSysctls: fixedSysctls(desired),
    countsSessions,
  };
  const wanted = render(desired, context);
  const moving = movingMaps(pins, fingerprint, constants);
  const observed = await observe(slowPath, pins, names, wanted, moving, constants);
  const steps = diff(wanted, observed);
  const findings = [
    ...observeInTheWay(desired, slowPath.links),
    ...tagFindings(desired, slowPath.links, offloads),
    ...redirects.findings,
  ];
  const warnings = findings.map(findingText);
  return { desired, constants, context, wanted, observed, steps, warnings };
}

/** Maps that have to become others before all programs are the wanted ones, or that a change has left half-way. */
function movingMaps(pins: Pins, fingerprint: string, constants: Constants): ReadonlyMap<string, string> {
  if (pins.nextMaps().length > 0) return new Map(pins.nextMaps().map((name) => [name, "begun before"]));
  return pins.maps().length === 0 || pins.isComplete(fingerprint) ? new Map() : mapsToMove(pins, constants);
}

/** What is looked at closely. */
type Looked = Pick<State, "sysctls" | "tagOffloads" | "datapaths">;

async function observe(
  slowPath: ObservedSlowPath,
  pins: Pins,
  names: DeviceNames,
  { sysctls, tagOffloads, datapaths: needed }: Looked,
  moving: ReadonlyMap<string, string>,
  constants: Constants,
): Promise<State> {
  const programs = objectsFor(constants).flatMap((object) => object.programs);
  const isBegun = pins.nextMaps().length > 0;
  const entries = observeEntries(pins, names, new Set(isBegun ? [] : moving.keys()));
  return {
    ...slowPath.state,
    keepsConnections: new Set(),
    // Also of devices that are to go: a change that fails takes them back.
    sysctls: observeSysctls(new Set([...sysctls.keys(), ...sysctlsOf(slowPath.state.devices).map(([name]) => name)])),
    tagOffloads: tagOffloadsNow(tagOffloads.values()),
    datapaths: new Set(pins.fingerprints().filter((name) => !needed.has(name) || isWhole(pins, name, programs))),
    unpinnedMaps: new Set(unpinnedMaps(pins).keys()),
    moving,
    entries,
    unsettled: unsettledTenants(pins, [
      ...new Set([nobody, ...tenantIds(entries.values()), ...idsInUse(slowPath.state.devices).values()]),
    ]),
    attachments: observeAttachments(pins, names),
  };
}

function readConstants(config: Config, desired: Desired, sides: Sides, countsSessions: boolean): Constants {
  const { uplink } = sides;
  return {
    flows: config.flows,
    underlayAddress: config.underlay.address,
    ...underlayConstants(desired, sides),
    ...(uplink ? { uplink: { ifindex: uplink.nic.ifindex, tags: uplink.tags, mac: uplink.mac } } : {}),
    ...(sides.bonds.length > 0 ? { hasBonds: true } : {}),
    netnsInode: namespaceInode(),
    countsSessions,
  };
}

/** Left out where the programs need not look: everything that they see may be the underlay's. */
function underlayConstants({ nics }: Desired, { underlay, underlayDevices }: Sides): Pick<Constants, "underlay"> {
  const { nic, tags } = underlay;
  const names = new Set(underlayDevices.map(({ name }) => name));
  if (tags.length === 0 && nics.every(({ name }) => names.has(name))) return {};
  const others = underlayDevices.map(({ ifindex }) => ifindex).filter((ifindex) => ifindex !== nic.ifindex);
  return { underlay: { ifindex: nic.ifindex, tags, others: tags.length > 0 ? [] : others } };
}

/** How often a change is compared with its result before it counts as failed. */
export const applyAttempts = 3;

/**
 * Makes the kernel what the config wants, and reads back that it is. What one pass undoes by the way (a device made anew
 * loses its routes) the next puts right. The caller holds the lock.
 *
 * @param onChange called before each pass that changes anything
 * @returns the steps that were taken
 * @throws as `planChange` does
 */
export async function apply(config: Config, onChange = () => {}): Promise<Converged> {
  checkHost();
  checkUnderlayAddress(config);
  await loadModules();
  return converge(config, false, onChange);
}

/** The same where nothing but the kernel has changed since the last time, as the daemon does it: see also repair.ts. */
export const repair = (config: Config): Promise<Converged> => converge(config, true, () => {});

/** A plan that has been carried out, and found right. */
export interface Converged extends Plan {
  /** What there was before the first step, as far as tenants are known by it. */
  readonly before: Pick<State, "devices" | "entries">;
  /** When the last step was taken, before the comparison that found all right, as `performance.now()`. */
  readonly doneMs: number;
  /** Live flows that found no place in a flow table that was made anew, and that the kernel carries again. */
  readonly flowsLeft: number;
}

async function converge(config: Config, isRepair: boolean, onChange: () => void): Promise<Converged> {
  const pins = new Pins(config.instance);
  let taken: readonly Step[] = [];
  let before: Converged["before"] | undefined;
  const warnings = new Set<string>(); // what a pass warns of may be done with the next
  let doneMs = performance.now();
  let flowsLeft = 0;
  for (let attempt = 1; ; attempt++) {
    if (pins.nextMaps().length > 0) {
      const { constants } = await plan(config);
      onChange();
      settleOther(pins, fingerprintOf(constants));
    }
    const next = await plan(config);
    before ??= next.observed;
    for (const warning of next.warnings ?? []) warnings.add(warning);
    if (next.steps.length === 0) return { ...next, steps: taken, before, warnings: [...warnings], doneMs, flowsLeft };
    if (attempt > applyAttempts) throw stillDiffers(next.steps);
    onChange();
    // What a repair has seen may be no more by then, for somebody else is at work: it looks again, once.
    flowsLeft += await execute(next, pins, isRepair).catch((error) =>
      isRepair && attempt === 1 ? 0 : undo(next, error),
    );
    doneMs = performance.now();
    taken = taken.concat(next.steps); // as arguments of a call, the steps of thousands of tenants would be too many
  }
}

function stillDiffers(steps: readonly Step[]): XgwError {
  return new XgwError(`after ${applyAttempts} attempts the kernel still differs: ${summary(steps)}`, {
    remedy: "see what is left with `xgw plan`; something else may be changing it",
    details: { steps },
  });
}

function summary(steps: readonly Step[]): string {
  const told = steps.slice(0, 3).map(describeStep).join("; ");
  return steps.length > 3 ? `${told}; and ${steps.length - 3} more` : told;
}

/** The kernel decides the flows of these tenants anew, because their packets may have to go another way. */
export const redecide = (instance: string, tenants: readonly number[]): void =>
  closeGenerations(new Pins(instance), tenants);

/** Templates of these tenants that no flow leads to any more may be used by others, if places get scarce. */
export const giveTemplatesBack = (instance: string, tenants: readonly number[]): Promise<number> =>
  reclaimTemplates(new Pins(instance), tenants);

/**
 * Back to what was there before a failed change: the same comparison with the two sides swapped.
 *
 * @throws the failure, always; when going back failed too, it says so
 */
async function undo(failed: Plan, failure: unknown): Promise<never> {
  const { desired, constants, context, observed } = failed;
  try {
    const pins = new Pins(desired.instance);
    const wanted = { ...observed, keepsConnections: failed.wanted.keepsConnections, moving: new Map() };
    for (let attempt = 1; ; attempt++) {
      const slowPath = observeSlowPath(desired.instance);
      const begun = new Map(pins.nextMaps().map((name) => [name, "taken back"]));
      const now = await observe(slowPath, pins, deviceNames(slowPath.links), observed, begun, constants);
      checkWayBack(observed, now);
      const steps = diff(wanted, now);
      if (steps.length === 0) break;
      if (attempt > applyAttempts) throw stillDiffers(steps);
      await execute({ desired, constants, context, wanted, observed: now, steps }, pins, false);
    }
    if (observed.datapaths.size === 0) pins.removeAll();
  } catch (error) {
    const cause = toXgwError(failure);
    throw new XgwError(`${cause.message}; and going back failed: ${toXgwError(error).message}`, {
      cause: failure,
      remedy: "run `xgw apply` again when the cause is mended; it starts from whatever is there",
    });
  }
  throw failure;
}

/**
 * Another version's rules are known to that version only, and without what the new ones need, no tenant's packet would pass
 * them: as after a run that died, what is there stays, and the next run goes on.
 */
function checkWayBack(observed: State, now: State): void {
  if (now.rules !== rulesVersion || ["", damagedRules, rulesVersion].includes(observed.rules)) return;
  throw new XgwError("the new version's rules are in force already, and stay");
}

/** What `teardown` removed. */
export interface Removed {
  readonly attachments: readonly string[];
  readonly devices: readonly string[];
  readonly table: boolean;
}

/**
 * Removes everything of an instance and nothing else: programs first. What keeps tenants apart stands until the last of their
 * devices has gone.
 */
export async function teardown(instance: string): Promise<Removed> {
  checkHost();
  checkBpffs();
  const pins = new Pins(instance);
  const { state } = observeSlowPath(instance);
  const attachments = pins.links();
  for (const name of attachments) detach(pins, name);
  pins.removeAll();
  // Those by a tunnel go with it.
  const routes = [...state.routes.values()].filter(({ tunnel }) => !tunnel);
  const steps = routes.map((route): Step => ({ kind: "route.delete", route }));
  await removeRoutes(steps);
  await removeDevices([...state.devices.keys()]);
  await removeFences(instance, steps);
  await removeRules(instance);
  deleteConnections(readConnections(new Set(idsInUse(state.devices).values())));
  // As long as another instance has tenants, their look-ups keep to their own tables.
  if (!readLinks().some(({ alias }) => instanceOf(alias ?? "") !== undefined))
    for (const family of families()) await putBack(family);
  return { attachments, devices: [...state.devices.keys()], table: state.rules !== "" };
}
