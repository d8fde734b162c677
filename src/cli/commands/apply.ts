import { defineCommand } from "../command.js";

export const apply = defineCommand({
  name: "apply",
  summary: "Make the kernel what the config says, once",
  description: "Reads back what it did, and does nothing the second time. Traffic that the config allows goes on.",
  options: {
    wait: {
      type: "number",
      default: 10,
      describe: "Seconds to wait while another xgw changes this instance, or another one beside it",
    },
  },
  examples: [
    ["xgw apply", "bring the gateway in step with /etc/xgw/xgw.yaml"],
    ["xgw plan; xgw apply", "look first"],
  ],
  async handler({ wait }, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { apply } = await import("../../gateway.js");
    const { withLock } = await import("../../lock.js");
    const { outlineOf } = await import("../../plan/outline.js");
    const { planJson } = await import("../plan-json.js");
    const { planLines } = await import("../plan-lines.js");
    const { warningLines } = await import("../problems.js");
    const loaded = await loadConfig(context.configFile);
    const { config, warnings } = loaded;
    for (const line of warningLines(warnings)) context.note(line);
    const lock = { instance: config.instance, purpose: "apply", waitMs: wait * 1000 };
    const applied = await withLock(lock, () => apply(config));
    const { steps, wanted, before, flowsLeft, warnings: inTheWay = [] } = applied;
    const outline = outlineOf({ steps, wanted, observed: before });
    if (context.json) {
      const { instance } = config;
      return context.printJson({ instance, ...planJson(outline, steps, loaded), flowsLeft, warnings: inTheWay });
    }
    for (const line of planLines(outline, loaded, { verbose: context.verbose })) context.print(line);
    if (flowsLeft > 0) context.note(`${flowsLeft} flows have no room in the flow table: the kernel carries them`);
    for (const warning of inTheWay) context.note(`warning: ${warning}`);
    context.print(steps.length === 0 ? "nothing to do" : `${steps.length} steps done`);
  },
});
