import { ConfigError, exitCodes } from "../../errors.js";
import { defineCommand } from "../command.js";
import { configSummary, problemLines, warningLines } from "../problems.js";

export const validate = defineCommand({
  name: "validate",
  readOnly: true,
  summary: "Check the config and report everything that is wrong with it",
  description:
    "Reads the config file and tenants.d/*.yaml beside it, and reports every error and warning with its file, line and remedy. Touches nothing, needs no privilege.",
  options: {},
  examples: [
    ["xgw validate", "check /etc/xgw/xgw.yaml"],
    ["xgw validate -c new.yaml && mv new.yaml /etc/xgw/xgw.yaml", "put a config in place only when it is right"],
    ["xgw validate -j | jq '.errors[].path'", "list the fields at fault"],
  ],
  async handler(_args, context) {
    const { loadConfig } = await import("../../config/load.js");
    try {
      const { config, warnings } = await loadConfig(context.configFile);
      if (context.json) {
        context.printJson({ ok: true, errors: [], warnings });
      } else {
        for (const line of warningLines(warnings)) context.note(line);
        context.print(`${context.configFile}: ${configSummary(config.tenants.length, warnings.length)}`);
      }
      return exitCodes.done;
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      if (context.json) context.printJson({ ok: false, errors: thrown.problems, warnings: thrown.warnings });
      else for (const line of problemLines(thrown)) context.note(line);
      return exitCodes.usage;
    }
  },
});
