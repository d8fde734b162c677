import type { LoadedConfig } from "../../config/load.js";
import { UsageError } from "../../errors.js";
import type { Named } from "../../flow/list.js";
import { defineCommand } from "../command.js";
import { openFlows } from "../flow-source.js";

export const tenant = defineCommand({
  name: "tenant",
  summary: "Show one tenant whole, or list the tenants",
  readOnly: true,
  description:
    "Devices, routes, NAT, policy with what each rule has let through and denied and its place in the config, limits and use, connections by tier, drops by reason. Without a name: a line for each tenant. What is looked at is what is in force, beside what the config wants; where that cannot be read, rules have numbers. No daemon is needed. With -j: docs/output/tenant.schema.json, of the list docs/output/tenant-list.schema.json.",
  positionalUsage: "[tenant]",
  positionals: { tenant: { type: "string", describe: "Name or GRE key" } },
  options: { instance: { type: "string", describe: "The instance, when its config is gone or broken" } },
  examples: [
    ["xgw tenant", "one line a tenant"],
    ["xgw tenant user1", "one tenant whole"],
    ["xgw tenant 1000 -j | jq .policy.inbound.rules", "what each rule has let through, by tier"],
  ],
  async handler({ tenant: word, instance }, context) {
    const { tenants, config, describeRule, ...source } = await openFlows(instance, context);
    using view = source.view;
    if (word === undefined) {
      const { listTenants } = await import("../../tenant/list.js");
      const { listLines } = await import("../tenant-lines.js");
      const list = listTenants(view.pins, tenants);
      if (context.json) return context.printJson(list);
      for (const line of listLines(list)) context.print(line);
      return;
    }
    const { reportTenant } = await import("../../tenant/report.js");
    const { reportLines } = await import("../tenant-lines.js");
    const report = reportTenant(view, await findTenant(word, tenants, config?.config), config, describeRule);
    if (context.json) return context.printJson(report);
    for (const line of reportLines(report)) context.print(line);
  },
});

/** @throws UsageError when there is none in force, with the reason if the config has it */
async function findTenant(
  word: string,
  tenants: readonly Named[],
  config: LoadedConfig["config"] | undefined,
): Promise<Named> {
  const { parseTenant } = await import("../../flow/filter.js");
  const isNamed = ({ name, key }: { readonly name: string; readonly key: number }) =>
    name === word || String(key) === word;
  if (!tenants.some(isNamed) && config?.tenants.some(isNamed))
    throw new UsageError(`tenant ${word} is in the config, and not in force`, {
      remedy: "see `xgw plan`, and run `xgw apply`",
    });
  return parseTenant(word, tenants);
}
