/** What an explanation is made from: the gateway, the packet's trial, and the steps that are known of it so far. */

import type { FlowView } from "../datapath/flow-view.js";
import type { Trial } from "../datapath/trial.js";
import type { Named } from "../flow/list.js";
import type { Rule } from "../flow/schema.js";
import type { DescribeRule } from "../flow/show.js";
import type { PolicyRule } from "../model/policy.js";
import type { Explanation, Step } from "./schema.js";

/** The rules of a tenant's list as the config has it; undefined where there is no config that can be read. */
export type RulesOf = (key: number, direction: Rule["direction"]) => readonly PolicyRule[] | undefined;

export interface Gateway {
  readonly view: FlowView;
  readonly instance: string;
  readonly tenants: readonly Named[];
  readonly describeRule: DescribeRule;
  readonly rulesOf: RulesOf;
}

export interface Subject {
  readonly gateway: Gateway;
  readonly trial: Trial;
  /** Whose packet it is; undefined: nobody's. */
  readonly tenant: Named | undefined;
  readonly steps: Step[];
}

type Data = NonNullable<Step["data"]>;

/** One step more. */
export function tell(
  { steps }: Subject,
  step: Step["step"],
  text: string,
  asked: string,
  data: Data = {},
  outcome: Step["outcome"] = "goes_on",
): void {
  steps.push({ step, outcome, text, asked, ...(Object.keys(data).length === 0 ? {} : { data }) });
}

/** What comes out of the steps. */
export type Ending = Pick<Explanation, "verdict" | "by"> & Partial<Pick<Explanation, "leaves" | "rule">>;
