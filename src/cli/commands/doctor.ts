import { defineCommand } from "../command.js";

export const doctor = defineCommand({
  name: "doctor",
  summary: "Find what keeps the gateway from working although every step is in place",
  isForViewers: true,
  description:
    "Looks at devices, XDP, addresses, others' packet filters and routing rules, the kernel's tables and settings, and the daemon. Watches counters for a second. Changes nothing. Exits with 0 when there is nothing but notes, 1 with warnings, 2 when something is critical or the config is refused, and 3 when it cannot tell.",
  options: {},
  examples: [
    ["xgw doctor", "what, why, the command that shows it, the command that mends it"],
    ["xgw doctor -j | jq -r '.findings[] | .remedy'", "for programs: see docs/output/doctor.schema.json"],
  ],
  async handler(_args, context) {
    const { readHealth } = await import("../health.js");
    const { asCannotTell, checkExitCode, healthLines } = await import("../health-lines.js");
    const health = await readHealth(context.configFile).catch(asCannotTell);
    if (context.json) context.printJson(health);
    else for (const line of healthLines(health)) context.print(line);
    return checkExitCode(health.counts);
  },
});
