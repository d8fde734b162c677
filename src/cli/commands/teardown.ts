import { defineCommand } from "../command.js";
import { checkInstance } from "../instance.js";

export const teardown = defineCommand({
  name: "teardown",
  summary: "Remove everything of this instance from the kernel, and nothing else",
  description:
    "Programs first, then maps, rules, routes and devices. Kernel settings (sysctls) stay as they are, since others may need them. Stop the daemon before, or it puts everything back.",
  options: {
    instance: { type: "string", describe: "The instance, when its config is gone or broken" },
    wait: {
      type: "number",
      default: 10,
      describe: "Seconds to wait while another xgw changes this instance, or another one beside it",
    },
  },
  examples: [
    ["xgw teardown", "remove the instance that the config names"],
    ["xgw teardown --instance gw1", "without a config"],
  ],
  async handler({ instance, wait }, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { teardown } = await import("../../gateway.js");
    const { withLock } = await import("../../lock.js");
    const { forgetApplied } = await import("../../applied.js");
    const { endTrial, trialOf } = await import("../../trial.js");
    if (instance !== undefined) await checkInstance(instance);
    const name = instance ?? (await loadConfig(context.configFile)).config.instance;
    const lock = { instance: name, purpose: "teardown", waitMs: wait * 1000 };
    const removed = await withLock(lock, async () => {
      const done = await teardown(name);
      forgetApplied(name);
      const trial = trialOf(name);
      if (trial) endTrial(trial);
      return done;
    });
    if (context.json) return context.printJson({ instance: name, removed });
    const { attachments, devices, table } = removed;
    for (const attachment of attachments) context.print(`- attachment ${attachment}`);
    if (table) context.print("- nft table");
    for (const device of devices) context.print(`- device ${device}`);
    if (attachments.length === 0 && devices.length === 0 && !table) context.print("nothing to remove");
  },
});
