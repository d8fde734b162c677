import type { PlacedConfig } from "../../config/load.js";
import { exitCodes, UsageError } from "../../errors.js";
import type { Plan } from "../../execute.js";
import type { Outline } from "../../plan/outline.js";
import { type Context, defineCommand } from "../command.js";
import type { Followed } from "../followed.js";

export const plan = defineCommand({
  name: "plan",
  readOnly: true,
  summary: "Show what apply would change, and change nothing",
  description:
    "Begins with how much there is to do for whom. Then comes what is done, for each tenant by the things of its config, with file and line, unless that is more than a screen or two: --tenant shows one of them, -v every step. While a daemon runs, edit a copy and look at that (-c COPY): the daemon applies its own file as soon as it is saved. Exits with 0 when there is nothing to do, 1 when changes are pending, and 2 or more on an error.",
  exitStatus: [
    [0, "there is nothing to do"],
    [1, "changes are pending"],
  ],
  options: {
    tenant: { type: "string", requiresArg: true, describe: "All that is done for this tenant, and nothing else" },
  },
  examples: [
    ["xgw plan", "how much is to be done for whom, and what"],
    ["xgw plan --tenant user1", "one tenant's part of it"],
    ["xgw plan -c /root/new.yaml", "an edit, before it is made"],
    ["xgw plan -j | jq '.tenants[] | {name, change}'", "for programs"],
  ],
  async handler({ tenant }, context) {
    const { loadConfig } = await import("../../config/load.js");
    const { planChange } = await import("../../gateway.js");
    const { outlineOf } = await import("../../plan/outline.js");
    const { asPlanFailure } = await import("../plan-failure.js");
    const { followedBy } = await import("../followed.js");
    const { warningLines } = await import("../problems.js");
    const loaded = await loadConfig(context.configFile);
    for (const line of warningLines(loaded.warnings)) context.note(line);
    const planned = await planChange(loaded.config).catch(asPlanFailure);
    const followed = await followedBy(loaded, context.configFile);
    const outline = outlineOf(planned);
    if (tenant !== undefined) checkTenant(tenant, loaded, outline);
    if (context.json) await showJson(loaded, planned, outline, followed, context);
    else await showText(loaded, planned, outline, followed, tenant, context);
    return planned.steps.length === 0 ? exitCodes.done : exitCodes.failed;
  },
});

function checkTenant(name: string, { config }: PlacedConfig, { tenants }: Outline): void {
  if (config.tenants.some((tenant) => tenant.name === name) || tenants.some((tenant) => tenant.name === name)) return;
  throw new UsageError(`there is no tenant ${name}, nor does one of that name go`, {
    remedy: "name one as the config does",
  });
}

async function showJson(
  loaded: PlacedConfig,
  { steps, warnings = [] }: Plan,
  outline: Outline,
  followed: Followed | undefined,
  context: Context,
): Promise<void> {
  const { planJson } = await import("../plan-json.js");
  const { editPlace } = await import("../edit-lines.js");
  const { edits, ...daemon } = followed ?? {};
  context.printJson({
    instance: loaded.config.instance,
    ...planJson(outline, steps, loaded),
    warnings,
    ...(followed ? { daemon } : {}),
    ...(edits
      ? {
          edits: edits.map(({ path, ...edit }) => {
            const place = editPlace({ ...edit, ...(path ? { path } : {}) }, loaded);
            return { ...edit, ...(place ? { place } : {}) };
          }),
        }
      : {}),
  });
}

async function showText(
  loaded: PlacedConfig,
  { steps, warnings = [] }: Plan,
  outline: Outline,
  followed: Followed | undefined,
  tenant: string | undefined,
  context: Context,
): Promise<void> {
  const { planLines } = await import("../plan-lines.js");
  const { followedLines } = await import("../edit-lines.js");
  const ofTenant =
    tenant === undefined ? steps.length : (outline.tenants.find(({ name }) => name === tenant)?.steps ?? 0);
  const lines = function* () {
    for (const line of followedLines(followed, context.configFile, loaded)) yield `${line}\n`;
    if (ofTenant > 0)
      for (const line of planLines(outline, loaded, { verbose: context.verbose, tenant })) yield `${line}\n`;
    yield ofTenant === 0 ? "nothing to do\n" : "";
  };
  await context.stream(lines());
  for (const warning of warnings) context.note(`warning: ${warning}`);
}
