import { UsageError } from "../../errors.js";
import { type Context, defineCommand } from "../command.js";

export const report = defineCommand({
  name: "report",
  summary: "Gather what support needs to see in one file",
  description:
    "What status, doctor, plan, prog, map, link, net and flow show, the config, metrics, versions, the kernel's settings, NICs, routes, nft rules and logs, each within bounds of time and size. What fails is told in manifest.json, and the rest goes on. Nothing is sent anywhere. With -j the manifest is printed (docs/output/report.schema.json).",
  positionalUsage: "<file>",
  positionals: {
    file: { type: "string", demandOption: true, describe: "The .tar.gz to be made; one that there is stays" },
  },
  places: ["files"],
  options: {
    redact: {
      type: "boolean",
      describe: "Replace addresses and names of tenants, hosts and devices, each always by the same",
    },
    "redact-map": {
      type: "string",
      requiresArg: true,
      describe: "With --redact: write down what stands for what in this file, as JSON; it is not in the report",
    },
  },
  examples: [
    ["xgw report /root/gw1.tar.gz", "everything, as it is"],
    ["xgw report gw1.tar.gz --redact --redact-map names.json", "for others; names.json stays with you"],
  ],
  async handler({ file, redact = false, "redact-map": mapFile }, context) {
    const { checkTarget, writeArchive } = await import("../../report/archive.js");
    const { collect } = await import("../../report/collect.js");
    const { makeReport } = await import("../../report/manifest.js");
    const { reportParts } = await import("../../report/parts.js");
    const { Redactor } = await import("../../report/redact.js");
    const { summaryLines } = await import("../report-lines.js");
    if (mapFile !== undefined && !redact)
      throw new UsageError("--redact-map is of use with --redact only", { remedy: "add --redact" });
    checkTarget(file);
    if (mapFile !== undefined) checkTarget(mapFile);
    const parts = reportParts(context.configFile, await metricsListen(context));
    const self = [...context.program, "-c", context.configFile] as const;
    const collected = await collect(parts, { self });
    const redactor = redact ? new Redactor(collected) : undefined;
    const { files, manifest } = makeReport(collected, redactor);
    if (redactor && mapFile !== undefined) await writeMap(mapFile, redactor.mapping());
    await writeArchive(file, files);
    if (context.json) context.printJson(manifest);
    else for (const line of summaryLines(file, manifest)) context.print(line);
  },
});

/** Undefined when the config names none, or is refused: `validate` says so in the report. */
async function metricsListen({ configFile }: Context): Promise<string | undefined> {
  const { loadConfig } = await import("../../config/load.js");
  const loaded = await loadConfig(configFile).catch(() => undefined);
  return loaded?.config.metrics?.listen;
}

async function writeMap(file: string, mapping: Record<string, string>): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  await writeFile(file, `${JSON.stringify(mapping, null, 2)}\n`, { flag: "wx", mode: 0o600 });
}
