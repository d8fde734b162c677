import { defineCommand } from "../command.js";

export const run = defineCommand({
  name: "run",
  summary: "Keep the kernel in step with the config until stopped (the daemon)",
  description:
    "Applies the config at start, when a file of it changes, and on SIGHUP, and puts right what something else changes in the kernel. A config with errors is logged and the last good one stays in force. Stopping leaves all traffic running; `xgw teardown` is what removes it.",
  logLevel: "info",
  options: {},
  examples: [
    ["xgw run", "in the foreground, as under systemd"],
    ["systemctl reload xgw", "read the config again now, as SIGHUP does"],
  ],
  async handler(_args, context) {
    const { runService } = await import("../../daemon/service.js");
    await runService(context.configFile, await context.log());
  },
});
