/** The way from observed to wanted: the steps of a plan, run phase by phase. The order is the whole point. */

import { crashPoint } from "./crash.js";
import { forgetCounts, settleRules } from "./datapath/accounting.js";
import { attach, detach } from "./datapath/attachments.js";
import type { Constants } from "./datapath/constants.js";
import { deleteEntries, kernelNames, setEntries } from "./datapath/entries.js";
import { closeGenerations, openGenerations } from "./datapath/generations.js";
import { loadDatapath } from "./datapath/load.js";
import { copyFirst, moveLearned, usesNext } from "./datapath/move.js";
import type { Pins } from "./datapath/pins.js";
import { pinAgain } from "./datapath/programs.js";
import { settleSessions } from "./datapath/sessions.js";
import { reclaimTemplates, settleTemplates } from "./datapath/templates.js";
import { readConnections } from "./kernel/conntrack.js";
import { revokeConnections } from "./kernel/revoke.js";
import { putBack } from "./kernel/routing-rules.js";
import {
  addSlowPath,
  removeDevices,
  removeFences,
  removeRoutes,
  removeRules,
  tellOfNeighbours,
} from "./kernel/slow-path.js";
import { setTagOffload } from "./kernel/tag-offload.js";
import { type Desired, nobody } from "./model/desired.js";
import { leavingTenants } from "./plan/leaving.js";
import type { RenderContext } from "./plan/render.js";
import { countedNeighbours, type State, tagOffloadId } from "./plan/state.js";
import { type Step, type StepKind, type StepOf, stepsOf } from "./plan/steps.js";

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
  /** What is not xgw's to change and may keep the steps from being enough; in words. Missing where nobody has looked. */
  readonly warnings?: readonly string[];
}

interface Change extends Plan {
  readonly pins: Pins;
  /** Tenants whose flows are decided anew. */
  readonly touched: readonly number[];
  /** The slow path is damaged: flows that are known to be right are followed until it is mended. */
  readonly isDamaged: boolean;
  flowsLeft: number;
}

type Phase = readonly [name: string, run: (change: Change) => void | Promise<void>];

/** See `phaseOrder` for why in this order, and datapath/move.ts for what lies between the learners and XDP. */
const phases: readonly Phase[] = [
  [
    "pin maps",
    ({ pins, steps }) =>
      pinAgain(
        pins,
        of(steps, "map.pin", ({ map }) => map),
      ),
  ],
  ["load programs", load],
  ["replace what hands packets to tunnels", (change) => attachAll(change, handsOverAlready)],
  ["open generations", openTouched],
  ["add to the slow path", ({ desired, steps }) => addSlowPath(desired.instance, steps)],
  ["let NICs leave VLAN tags in frames", ({ steps }) => each(steps, "tag-offload.set", setOffload)],
  ["open all generations", ({ pins, touched }) => openGenerations(pins, touched)],
  ["copy what learners read at once", copyAhead],
  ["set entries", setAll],
  ["attach learners", (change) => attachAll(change, isLearner)],
  ["move what was learned", move],
  [
    "attach what packets come in by",
    (change) => attachAll(change, (step, change) => !isLearner(step) && !handsOverAlready(step, change)),
  ],
  ["make neighbours known", tellNeighbours],
  ["put moved maps in place", settleMaps],
  ["settle sessions", countSessions],
  ["end connections", ({ desired, steps, wanted }) => revokeConnections(desired.instance, steps, wanted.elements)],
  [
    "delete entries",
    (c) =>
      deleteEntries(
        c.pins,
        of(c.steps, "entry.delete", ({ entry }) => entry),
        kernelNames,
      ),
  ],
  ["remove routes", ({ steps, wanted }) => removeRoutes(steps, wanted)],
  ["close generations", ({ pins, touched }) => closeGenerations(pins, touched)],
  [
    "give templates back",
    async ({ pins, touched }) =>
      void (await reclaimTemplates(
        pins,
        touched.filter((id) => id !== nobody),
      )),
  ],
  ["settle what is in use", settle],
  ["forget counts", ({ pins, steps, wanted }) => forgetCounts(pins, leavingTenants(steps, wanted.entries.values()))],
  ["detach programs", detachAll],
  [
    "unload programs",
    ({ pins, steps }) => each(steps, "datapath.unload", (step) => pins.removeDatapath(step.fingerprint)),
  ],
  ["remove devices", ({ steps }) => removeDevices(of(steps, "device.delete", ({ name }) => name))],
  ["remove what kept tenants apart", ({ desired, steps }) => removeFences(desired.instance, steps)],
  ["remove rules", removeTable],
  ["put routing rules back", restoreRuleOrder],
];

/**
 * @param isRepair nothing but the kernel has changed since the last time
 * @returns how many live flows found no place in a table that was made anew; the kernel carries them again
 */
export async function execute(plan: Plan, pins: Pins, isRepair: boolean): Promise<number> {
  const { steps } = plan;
  const touched = of(steps, "generation.bump", ({ tenant }) => tenant);
  const isDamaged = isRepair || stepsOf(steps, "rules.set").some(({ was }) => was === "");
  const change: Change = { ...plan, pins, touched, isDamaged, flowsLeft: 0 };
  let isChanging = false;
  try {
    for (const [name, run] of phases) {
      crashPoint(`before: ${name}`);
      isChanging ||= run === openTouched;
      await run(change);
    }
  } catch (error) {
    // Part of what was found may be right by now, and nothing would tell that connections are in doubt.
    if (isChanging) openGenerations(pins, touched);
    throw error;
  }
  crashPoint("done");
  return change.flowsLeft;
}

const of = <K extends StepKind, T>(steps: readonly Step[], kind: K, what: (step: StepOf<K>) => T): T[] =>
  stepsOf(steps, kind).map(what);

function each<K extends StepKind>(steps: readonly Step[], kind: K, act: (step: StepOf<K>) => void): void {
  for (const step of stepsOf(steps, kind)) act(step);
}

function openTouched({ pins, touched, isDamaged }: Change): void {
  if (!isDamaged) openGenerations(pins, touched);
}

function load({ pins, steps, constants, observed }: Change): void {
  for (const { fingerprint } of stepsOf(steps, "datapath.load"))
    loadDatapath(pins, fingerprint, constants, new Set(observed.moving.keys()));
}

function copyAhead(change: Change): void {
  if (movesForward(change)) copyFirst(change.pins);
}

function setOffload({ offload }: StepOf<"tag-offload.set">): void {
  setTagOffload(offload);
  crashPoint(`offload ${tagOffloadId(offload)}`);
}

/** The names are those of the few devices that the steps name, as they are by now. */
function setAll({ pins, steps }: Change): void {
  const entries = of(steps, "entry.set", ({ entry }) => entry);
  setEntries(pins, entries, kernelNames);
}

type Attach = StepOf<"attach">;

function attachAll(change: Change, which: (step: Attach, change: Change) => boolean): void {
  const { pins, steps } = change;
  for (const step of stepsOf(steps, "attach"))
    if (which(step, change)) attach(pins, step.name, step.attachment, step.was, kernelNames);
}

/** One that a run which died left beside its successor has gone already, if another has been attached since. */
function detachAll({ pins, steps }: Change): void {
  const pinned = new Set(pins.links());
  each(steps, "detach", ({ name }) => {
    if (pinned.has(name)) detach(pins, name);
  });
}

const isLearner = ({ attachment }: Attach) => attachment.hook === "tcx-egress";

/**
 * The program on the uplink that takes the place of another, and reads a map that is filled already. The rules tell what it
 * hands over by a mark: newer rules would drop what an older program hands over, and older rules let the mark pass.
 */
const handsOverAlready = ({ attachment, was }: Attach, { observed }: Change) =>
  attachment.program === "xgw_uplink" && was?.device === attachment.device && !observed.moving.has("public_ips");

async function tellNeighbours({ steps, wanted }: Change): Promise<void> {
  const counts = ({ attachment, was }: Attach) => attachment.device === countedNeighbours && !was;
  if (stepsOf(steps, "attach").some(counts)) await tellOfNeighbours(wanted.neighbours.values());
}

/** Whether the data path that is wanted is the one that the moving maps are for: not when a change is taken back. */
const movesForward = ({ pins, wanted }: Change) =>
  pins.nextMaps().length > 0 && [...wanted.datapaths].some((fingerprint) => usesNext(pins, fingerprint));

async function move(change: Change): Promise<void> {
  if (movesForward(change)) change.flowsLeft += (await moveLearned(change.pins, change.constants)).left;
}

function settleMaps(change: Change): void {
  if (movesForward(change)) change.pins.commitNext();
  else change.pins.dropNext();
}

/** Other programs may not have counted what they took. */
async function settle({ pins, steps }: Change): Promise<void> {
  if (stepsOf(steps, "datapath.load").length === 0) return;
  await settleTemplates(pins);
  await settleRules(pins);
}

function* zonesOfConnections(): Generator<number> {
  for (const { zone } of readConnections()) yield zone;
}

/** What there was before the programs count. */
function countSessions({ pins, steps }: Change): void {
  if (stepsOf(steps, "attach").some(({ attachment }) => attachment.hook === "function"))
    settleSessions(pins, zonesOfConnections);
}

async function restoreRuleOrder({ steps }: Change): Promise<void> {
  for (const { family } of stepsOf(steps, "rule-order.restore")) await putBack(family);
}

async function removeTable({ desired, steps }: Change): Promise<void> {
  if (stepsOf(steps, "rules.delete").length > 0) await removeRules(desired.instance);
}
