/** What the verbs of `xgw flow` look at: an instance's flow table, its tenants, and what the config says of their rules. */

import type { LoadedConfig, PlacedConfig } from "../config/load.js";
import type { FlowView } from "../datapath/flow-view.js";
import { ConfigError, XgwError } from "../errors.js";
import type { RulesOf } from "../explain/subject.js";
import type { Named } from "../flow/list.js";
import type { DescribeRule } from "../flow/show.js";
import type { Context } from "./command.js";
import { checkInstance } from "./instance.js";

export interface FlowSource {
  readonly instance: string;
  readonly view: FlowView;
  readonly tenants: readonly Named[];
  readonly describeRule: DescribeRule;
  /** The instance's, if there is one that can be read. */
  readonly config: PlacedConfig | undefined;
  readonly rulesOf: RulesOf;
}

/**
 * Of --instance, of the config's, or, where that is refused, of the only one that there is. The caller disposes of the view.
 *
 * @throws XgwError, ConfigError
 */
export async function openFlows(asked: string | undefined, context: Context): Promise<FlowSource> {
  const { Pins, checkBpffs } = await import("../datapath/pins.js");
  const { FlowView } = await import("../datapath/flow-view.js");
  const { namedTenants } = await import("../flow/subject.js");
  const { checkHost } = await import("../kernel/preflight.js");
  if (asked !== undefined) await checkInstance(asked);
  checkHost();
  checkBpffs();
  const loaded = await tryConfig(asked, context);
  const instance = asked ?? loaded?.config.instance ?? (await onlyInstance());
  const view = new FlowView(new Pins(instance));
  const config = loaded?.config.instance === instance ? loaded : undefined;
  const describeRule = await ruleDescriber(config);
  const rulesOf: RulesOf = (key, direction) =>
    config?.config.tenants.find((tenant) => tenant.key === key)?.policy[direction];
  return { instance, view, tenants: namedTenants(view, config?.config.tenants), describeRule, rulesOf, config };
}

/** A config that is refused does not keep anybody from looking: it is said. */
async function tryConfig(asked: string | undefined, context: Context): Promise<PlacedConfig | undefined> {
  const { loadConfig } = await import("../config/load.js");
  try {
    return await loadConfig(context.configFile);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    if (asked === undefined) context.note(`${context.configFile} is refused (see xgw validate): rules have no names`);
    return undefined;
  }
}

async function onlyInstance(): Promise<string> {
  const { recordedInstances } = await import("../observe/recorded.js");
  const [only, ...others] = recordedInstances();
  if (only !== undefined && others.length === 0) return only;
  const names = [only, ...others].filter((name) => name !== undefined).join(", ");
  throw new XgwError(only === undefined ? "nothing is applied here" : `there are several instances: ${names}`, {
    remedy: only === undefined ? "run `xgw apply` first" : "name one with --instance",
  });
}

async function ruleDescriber(loaded: PlacedConfig | undefined): Promise<DescribeRule> {
  const { describeRule } = await import("../model/rule-name.js");
  if (!loaded) return () => ({});
  const tenants: LoadedConfig["config"]["tenants"] = loaded.config.tenants;
  return (key, { direction, rule }) => {
    const at = tenants.findIndex((tenant) => tenant.key === key);
    const list = tenants[at]?.policy[direction];
    const known = list?.[rule];
    const isDefault = direction === "outbound" && list === undefined && rule === 0;
    if (at < 0 || !(known || isDefault)) return { name: "a rule of an earlier config" };
    const { file, line } = loaded.locate(["tenants", at, "policy", direction, ...(known ? [rule] : [])]);
    return { name: known ? describeRule(known, direction) : "allow any (no list)", place: { file, line } };
  };
}
