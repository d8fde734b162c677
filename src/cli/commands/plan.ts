import { exitCodes } from "../../errors.js";
import { defineCommand } from "../command.js";

export const plan = defineCommand({
  name: "plan",
  summary: "Show what apply would change, and change nothing",
  isForViewers: true,
  description: "Exits with 0 when there is nothing to do, 1 when changes are pending, and 2 or more on an error.",
  options: {},
  examples: [
    ["xgw plan", "list the steps, one a line"],
    ["xgw plan -j | jq '.steps[].kind'", "for programs"],
  ],
  async handler(_args, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { plan } = await import("../../gateway.js");
    const { describeStep } = await import("../../plan/describe.js");
    const { asPlanFailure } = await import("../plan-failure.js");
    const { warningLines } = await import("../problems.js");
    const { config, warnings: configWarnings } = await loadConfig(context.configFile);
    for (const line of warningLines(configWarnings)) context.note(line);
    const { steps, warnings = [] } = await plan(config).catch(asPlanFailure);
    if (context.json) context.printJson({ instance: config.instance, steps, warnings });
    else for (const step of steps) context.print(describeStep(step));
    if (!context.json) for (const warning of warnings) context.note(`warning: ${warning}`);
    if (!context.json) context.print(steps.length === 0 ? "nothing to do" : `${steps.length} steps`);
    return steps.length === 0 ? exitCodes.done : exitCodes.failed;
  },
});
