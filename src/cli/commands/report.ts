import { UsageError } from "../../errors.js";
import { type Context, defineCommand } from "../command.js";
import { packageVersion } from "../version.js";

export const report = defineCommand({
  name: "report",
  summary: "Write inspection, kernel and logs into one file, for who is to help",
  description:
    "Writes a tar.gz that only its owner may read, with a manifest.json that says of each file which command it is from. Changes nothing else. What cannot be collected is said, and is no failure. It takes half a minute as a rule, 3 minutes at most.",
  positionalUsage: "<file>",
  positionals: { file: { type: "string", demandOption: true, describe: "Where to, as in xgw-report.tar.gz" } },
  options: {
    redact: {
      type: "boolean",
      describe: "Replace addresses and names of tenants, hosts and devices, in all files alike",
    },
    "redact-map": {
      type: "string",
      requiresArg: true,
      describe: "Write what was replaced by what here: for you alone",
    },
  },
  examples: [
    ["xgw report xgw-report.tar.gz", "everything, as it is"],
    ["xgw report xgw-report.tar.gz --redact --redact-map names.json", "to be sent to others"],
  ],
  async handler({ file, redact = false, "redact-map": mapFile }, context) {
    if (mapFile !== undefined && !redact)
      throw new UsageError("--redact-map is for what --redact replaces", { remedy: "add --redact, or leave it out" });
    const { checkCapabilities } = await import("../../kernel/preflight.js");
    checkCapabilities();
    const { report } = await import("../../report/report.js");
    const { reportLines } = await import("../report-lines.js");
    const { configFile } = context;
    const done = await report({
      file,
      configFile,
      self: [process.execPath, process.argv[1] ?? "", "-c", configFile],
      metrics: await metricsOf(context),
      isRedacted: redact,
      mapFile,
      version: packageVersion(),
    });
    if (context.json) context.printJson(done);
    else for (const line of reportLines(done)) context.print(line);
  },
});

/** Where the daemon's metrics are. A config that is refused is told in the report itself. */
async function metricsOf({ configFile }: Context): Promise<string | undefined> {
  const { loadConfig } = await import("../../config/load.js");
  const loaded = await loadConfig(configFile).catch(() => undefined);
  return loaded?.config.metrics?.listen;
}
