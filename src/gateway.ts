/**
 * The gateway: what the config wants, what is there, and the way from one to the other. Every command and the daemon go
 * through here.
 */

import type { Config } from "./config/schema.js";
import { forgetCounts } from "./datapath/accounting.js";
import { attach, checkXdp, detach, observeAttachments } from "./datapath/attachments.js";
import { deleteEntries, deviceNames, kernelNames, observeEntries, setEntries } from "./datapath/entries.js";
import { closeGenerations, openGenerations, unsettledTenants } from "./datapath/generations.js";
import type { DeviceNames } from "./datapath/layout.js";
import { type Constants, fingerprintOf, loadDatapath } from "./datapath/load.js";
import { checkBpffs, Pins } from "./datapath/pins.js";
import { settleSessions } from "./datapath/sessions.js";
import { reclaimTemplates } from "./datapath/templates.js";
import { toXgwError, XgwError } from "./errors.js";
import { deleteConnections, readConnections } from "./kernel/conntrack.js";
import { namespaceInode } from "./kernel/namespace.js";
import { checkHost, checkReversePathFilter, loadModules } from "./kernel/preflight.js";
import { revokeConnections } from "./kernel/revoke.js";
import { addSlowPath, removeDevices, removeRoutes, removeRules } from "./kernel/slow-path.js";
import { readSysctl } from "./kernel/sysctl.js";
import { buildDesired } from "./model/build.js";
import { type Desired, nobody } from "./model/desired.js";
import { observeSides, type Sides } from "./observe/sides.js";
import {
  checkForeignDevices,
  idsInUse,
  type ObservedSlowPath,
  observeSlowPath,
  observeSysctls,
} from "./observe/slow-path.js";
import { diff } from "./plan/diff.js";
import { leavingTenants } from "./plan/leaving.js";
import { countsSessions, type RenderContext, render } from "./plan/render.js";
import { type State, tenantIds } from "./plan/state.js";
import { type Step, stepsOf } from "./plan/steps.js";

/** Everything that a change needs to know, as of one moment. */
export interface Plan {
  readonly desired: Desired;
  /** In the order in which they are to run; empty when there is nothing to do. */
  readonly steps: readonly Step[];
  readonly constants: Constants;
  readonly context: RenderContext;
  /** What the steps lead to. */
  readonly wanted: State;
  /** What was there, which is what a failure goes back to. */
  readonly observed: State;
}

/**
 * Compares the config with the kernel. Changes nothing.
 *
 * @throws PermissionError, KernelError, ForeignError
 */
export async function plan(config: Config): Promise<Plan> {
  await checkHost();
  checkBpffs();
  const pins = new Pins(config.instance);
  const slowPath = await observeSlowPath(config.instance);
  const desired = buildDesired(config, idsInUse(slowPath.state.devices));
  const sides = observeSides(desired, slowPath.links);
  checkForeignDevices(desired, slowPath.links);
  const names = deviceNames(slowPath.links);
  checkXdp(pins, desired, names);
  const constants = await readConstants(desired, sides);
  const context: RenderContext = {
    underlayMtu: sides.underlay.mtu,
    ...(sides.uplink ? { uplinkMtu: sides.uplink.mtu } : {}),
    fingerprint: fingerprintOf(constants),
  };
  const wanted = render(desired, context);
  const observed = await observe(slowPath, pins, names, wanted.sysctls.keys());
  return { desired, constants, context, wanted, observed, steps: diff(wanted, observed) };
}

async function observe(
  slowPath: ObservedSlowPath,
  pins: Pins,
  names: DeviceNames,
  sysctls: Iterable<string>,
): Promise<State> {
  const entries = observeEntries(pins, names);
  return {
    ...slowPath.state,
    keepsConnections: new Set(),
    sysctls: await observeSysctls(sysctls),
    datapaths: new Set(pins.fingerprints()),
    entries,
    unsettled: unsettledTenants(pins, [nobody, ...tenantIds(entries.values())]),
    attachments: observeAttachments(pins, names),
  };
}

/** Seconds in the settings, milliseconds in the programs. The defaults are the kernel's, for before conntrack is loaded. */
async function readConstants(desired: Desired, { underlay, uplink }: Sides): Promise<Constants> {
  const seconds = async (name: string, otherwise: number) =>
    Number((await readSysctl(`net.netfilter.${name}`)) ?? otherwise);
  return {
    underlayAddress: desired.underlay.address,
    ...(underlay.tags.length > 0 ? { underlay: { ifindex: underlay.nic.ifindex, tags: underlay.tags } } : {}),
    ...(uplink ? { uplink: { ifindex: uplink.nic.ifindex, tags: uplink.tags, mac: uplink.mac } } : {}),
    tcpTimeoutMs: 1000 * (await seconds("nf_conntrack_tcp_timeout_established", 432000)),
    udpTimeoutMs: 1000 * (await seconds("nf_conntrack_udp_timeout_stream", 120)),
    netnsInode: namespaceInode(),
    countsSessions: countsSessions(desired),
  };
}

/** How often a change is compared with its result before it counts as failed. */
const applyAttempts = 3;

/**
 * Makes the kernel what the config wants, and reads back that it is. What one pass undoes by the way (a device made anew
 * loses its routes) the next puts right. The caller holds the lock.
 *
 * @returns the steps that were taken
 */
export async function apply(config: Config): Promise<Plan> {
  await checkHost();
  await loadModules();
  await checkReversePathFilter();
  return converge(config, false);
}

/** The same where nothing but the kernel has changed since the last time, as the daemon does it. */
export const repair = (config: Config): Promise<Plan> => converge(config, true);

async function converge(config: Config, isRepair: boolean): Promise<Plan> {
  const taken: Step[] = [];
  for (let attempt = 1; ; attempt++) {
    const next = await plan(config);
    if (next.steps.length === 0) return { ...next, steps: taken };
    if (attempt > applyAttempts)
      throw new XgwError(`after ${applyAttempts} attempts the kernel still differs from the config`, {
        remedy: "see what is left with `xgw plan`; something else may be changing it",
        details: { steps: next.steps },
      });
    await execute(next, isRepair).catch((error) => undo(next, error));
    taken.push(...next.steps);
  }
}

/** The kernel decides the flows of these tenants anew, because their packets may have to go another way. */
export async function redecide(instance: string, tenants: readonly number[]): Promise<void> {
  const pins = new Pins(instance);
  await closeGenerations(pins, tenants);
  await reclaimTemplates(pins);
}

/**
 * Back to what was there before a failed change: the same comparison with the two sides swapped.
 *
 * @throws the failure, always; when going back failed too, it says so
 */
async function undo(failed: Plan, failure: unknown): Promise<never> {
  const { desired, constants, context, observed } = failed;
  try {
    const pins = new Pins(desired.instance);
    const slowPath = await observeSlowPath(desired.instance);
    const now = await observe(slowPath, pins, deviceNames(slowPath.links), observed.sysctls.keys());
    const wanted = { ...observed, keepsConnections: failed.wanted.keepsConnections };
    await execute({ desired, constants, context, wanted, observed: now, steps: diff(wanted, now) }, false);
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
 * Runs the steps phase by phase; see `phaseOrder` for why in this order.
 *
 * @param isRepair the slow path is damaged: flows that are known to be right are followed until it is mended
 */
export async function execute({ desired, steps, constants, wanted }: Plan, isRepair: boolean): Promise<void> {
  const { instance } = desired;
  const pins = new Pins(instance);
  const touched = stepsOf(steps, "generation.bump").map(({ tenant }) => tenant);
  const isDamaged = isRepair || stepsOf(steps, "rules.set").some(({ was }) => was === "");
  if (!isDamaged) openGenerations(pins, touched);
  await addSlowPath(instance, steps);
  openGenerations(pins, touched);
  for (const { fingerprint } of stepsOf(steps, "datapath.load")) loadDatapath(pins, fingerprint, constants);
  const names = kernelNames; // of the few that the steps name, as they are by now
  setEntries(
    pins,
    stepsOf(steps, "entry.set").map(({ entry }) => entry),
    names,
  );
  const attached = stepsOf(steps, "attach");
  for (const { name, attachment, was } of attached) attach(pins, name, attachment, was, names);
  if (attached.some(({ attachment }) => attachment.hook === "fentry"))
    await settleSessions(pins, async () => (await readConnections()).map(({ zone }) => zone));
  await revokeConnections(instance, steps, wanted.elements);
  deleteEntries(
    pins,
    stepsOf(steps, "entry.delete").map(({ entry }) => entry),
    names,
  );
  await removeRoutes(steps);
  await closeGenerations(pins, touched);
  await reclaimTemplates(pins);
  forgetCounts(pins, leavingTenants(steps, wanted.entries.values()));
  for (const { name } of stepsOf(steps, "detach")) detach(pins, name);
  for (const { fingerprint } of stepsOf(steps, "datapath.unload")) pins.removeDatapath(fingerprint);
  if (stepsOf(steps, "rules.delete").length > 0) await removeRules(instance);
  await removeDevices(stepsOf(steps, "device.delete").map(({ name }) => name));
}

/** What `teardown` removed. */
export interface Removed {
  readonly attachments: readonly string[];
  readonly devices: readonly string[];
  readonly table: boolean;
}

/** Removes everything of an instance and nothing else: programs first, the devices under them last. */
export async function teardown(instance: string): Promise<Removed> {
  await checkHost();
  checkBpffs();
  const pins = new Pins(instance);
  const { state } = await observeSlowPath(instance);
  const attachments = pins.links();
  for (const name of attachments) detach(pins, name);
  pins.removeAll();
  if (state.rules !== "") await removeRules(instance);
  await deleteConnections([...idsInUse(state.devices).values()].map((zone) => ({ zone })));
  await removeRoutes(
    [...state.routes.values()].filter((route) => !route.tunnel).map((route) => ({ kind: "route.delete", route })),
  );
  await removeDevices([...state.devices.keys()]);
  return { attachments, devices: [...state.devices.keys()], table: state.rules !== "" };
}
