import type { PlacedConfig } from "../../config/load.js";
import { exitCodes, UsageError } from "../../errors.js";
import type { Converged } from "../../gateway.js";
import type { Outline } from "../../plan/outline.js";
import type { Step } from "../../plan/steps.js";
import { type Context, defineCommand } from "../command.js";

/** A day. */
const confirmMax = 86_400;

export const apply = defineCommand({
  name: "apply",
  summary: "Make the kernel what the config says, once",
  description:
    "Reads back what it did, and does nothing the second time. Traffic that the config allows goes on. With --confirm the change is taken back after that time unless `xgw confirm` keeps it, also when the session that began it has died by then. Where the daemon runs, -c names a copy of its file, which becomes the file when it is confirmed. In a terminal it asks, and exits with 1 when the change is taken back.",
  options: {
    wait: {
      type: "number",
      default: 10,
      describe: "Seconds to wait while another xgw changes this instance, or another one beside it",
    },
    confirm: {
      type: "number",
      requiresArg: true,
      describe: "Take the change back after so many seconds unless it is confirmed",
    },
  },
  examples: [
    ["xgw apply", "bring the gateway in step with /etc/xgw/xgw.yaml"],
    ["xgw plan; xgw apply", "look first"],
    ["xgw apply -c new.yaml --confirm 60", "for a minute, unless `xgw confirm` keeps it"],
  ],
  async handler({ wait, confirm }, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { outlineOf } = await import("../../plan/outline.js");
    if (confirm !== undefined) checkSeconds(confirm);
    const loaded = await loadConfig(context.configFile);
    if (confirm !== undefined) return await tryIt(loaded, { seconds: confirm, waitMs: wait * 1000 }, context);
    const { apply } = await import("../../gateway.js");
    const { keepApplied } = await import("../../applied.js");
    const { checkNoTrial } = await import("../../confirm/check.js");
    const { withLock } = await import("../../lock.js");
    const { config } = loaded;
    const { instance } = config;
    await noteWarnings(loaded, context);
    const applied = await withLock({ instance, purpose: "apply", waitMs: wait * 1000 }, async () => {
      checkNoTrial(instance);
      const done = await apply(config);
      keepApplied(config);
      return done;
    });
    await show({ ...shownOf(applied), outline: outlineOf({ ...applied, observed: applied.before }), loaded }, context);
    return exitCodes.done;
  },
});

function checkSeconds(seconds: number): void {
  if (seconds >= 1 && seconds <= confirmMax) return;
  throw new UsageError(`--confirm ${seconds} cannot be`, { remedy: `use seconds, from 1 to ${confirmMax}` });
}

async function noteWarnings({ warnings }: PlacedConfig, context: Context): Promise<void> {
  const { warningLines } = await import("../problems.js");
  for (const line of warningLines(warnings)) context.note(line);
}

/** By the daemon where there is one. */
async function tryIt(
  loaded: PlacedConfig,
  asked: { readonly seconds: number; readonly waitMs: number },
  context: Context,
) {
  const options = { ...asked, program: context.program };
  const { tryByDaemon, tryInKernel } = await import("../../confirm/begin.js");
  const { findDaemon } = await import("../../daemon-socket.js");
  const { outlineOf } = await import("../../plan/outline.js");
  const { BusyError } = await import("../../errors.js");
  const { instance } = loaded.config;
  const daemon = await findDaemon(context.configFile, instance);
  if (daemon.state === "busy")
    throw new BusyError(`the daemon, ${daemon.holder}, does not answer within 2 s`, { remedy: "try again" });
  if (daemon.state === "answers") {
    const tried = await tryByDaemon(daemon.report, context.configFile, options);
    await noteWarnings(tried.loaded, context);
    const { steps, warnings = [] } = tried.planned;
    const outline = outlineOf(tried.planned);
    await show(
      { steps, warnings, flowsLeft: 0, outline, loaded: tried.loaded, trial: { file: tried.file, ...asked } },
      context,
    );
    return await askWhether(tried.file, asked.seconds, context);
  }
  await noteWarnings(loaded, context);
  const applied = await tryInKernel(loaded, context.configFile, options);
  const outline = outlineOf({ ...applied, observed: applied.before });
  await show({ ...shownOf(applied), outline, loaded, trial: { file: context.configFile, ...asked } }, context);
  return await askWhether(context.configFile, asked.seconds, context);
}

interface Shown {
  readonly steps: readonly Step[];
  readonly warnings: readonly string[];
  readonly flowsLeft: number;
  readonly outline: Outline;
  readonly loaded: PlacedConfig;
  readonly trial?: { readonly file: string; readonly seconds: number };
}

const shownOf = ({ steps, flowsLeft, warnings = [] }: Converged) => ({ steps, flowsLeft, warnings });

async function show({ steps, warnings, flowsLeft, outline, loaded, trial }: Shown, context: Context): Promise<void> {
  const { planJson } = await import("../plan-json.js");
  const { planLines } = await import("../plan-lines.js");
  if (context.json) {
    const { instance } = loaded.config;
    const onTrial = trial ? { trial: { file: trial.file, seconds: trial.seconds } } : {};
    return context.printJson({ instance, ...planJson(outline, steps, loaded), flowsLeft, warnings, ...onTrial });
  }
  for (const line of planLines(outline, loaded, { verbose: context.verbose })) context.print(line);
  if (flowsLeft > 0) context.note(`${flowsLeft} flows have no room in the flow table: the kernel carries them`);
  for (const warning of warnings) context.note(`warning: ${warning}`);
  context.print(steps.length === 0 ? "nothing to do" : `${steps.length} steps done`);
  if (trial)
    context.print(`on trial: it is taken back in ${trial.seconds} s unless kept: xgw confirm -c ${trial.file}`);
}

/** In a terminal. When that goes, the time goes on. */
async function askWhether(file: string, seconds: number, context: Context) {
  if (context.json || !context.readKey) return exitCodes.done;
  const { cancel, keep, trialFor } = await import("../../confirm/end.js");
  const trial = trialFor(file, undefined);
  context.note("keep it? y: keep, n: take it back, q: leave it on trial");
  const key = await context.readKey(["y", "n", "q"], AbortSignal.timeout(seconds * 1000));
  if (key === "q") return exitCodes.done;
  if (key === "y") await keep(trial);
  if (key === "n") await cancel(trial);
  context.print(key === "y" ? "kept" : key === "n" ? "taken back" : "the time is over: it is taken back");
  return key === "y" ? exitCodes.done : exitCodes.failed;
}
