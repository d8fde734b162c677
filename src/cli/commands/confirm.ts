import { ConfigError, UsageError } from "../../errors.js";
import { type Context, defineCommand } from "../command.js";

export const confirm = defineCommand({
  name: "confirm",
  summary: "Keep a change that `apply --confirm` has put on trial, or take it back",
  description:
    "Where the daemon runs, what was tried becomes its file, with the owner and mode that the file has; not when somebody has changed the file meanwhile. Exits with 1 when there is nothing on trial, or it is too late.",
  options: {
    cancel: { type: "boolean", describe: "Take it back now" },
    guard: {
      type: "boolean",
      hidden: true,
      describe: "Wait for the end of the trial, and take it back then: what apply starts",
    },
  },
  examples: [
    ["xgw apply -c new.yaml --confirm 60; xgw confirm", "keep what is tried"],
    ["xgw confirm --cancel", "back at once"],
  ],
  async handler({ cancel = false, guard = false }, context) {
    const end = await import("../../confirm/end.js");
    if (cancel && guard) throw new UsageError("--guard waits, and takes no --cancel", { remedy: "give one of them" });
    if (guard)
      return await (await import("../../confirm/guard.js")).guard(context.configFile, () => context.print("guarding"));
    const trial = end.trialFor(context.configFile, await instanceOf(context));
    if (cancel) await end.cancel(trial);
    else await end.keep(trial);
    const { instance, file } = trial;
    const outcome = cancel ? "taken back" : "kept";
    if (context.json) return context.printJson({ instance, file, outcome });
    context.print(`${instance}: ${outcome}`);
  },
});

/** A config that is refused, or gone, keeps nobody from going back. */
async function instanceOf(context: Context): Promise<string | undefined> {
  const { loadConfig } = await import("../../config/load.js");
  try {
    return (await loadConfig(context.configFile)).config.instance;
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return undefined;
  }
}
