/** What `xgw plan -j` and `xgw apply -j` print. */

import { z } from "zod";
import { parts } from "../../plan/purpose.js";
import { phaseOrder, type StepKind } from "../../plan/steps.js";

const purpose = {
  part: z.enum(parts).describe("The thing of the config that it is for"),
  item: z.string().optional().describe("Which: a rule's index in the config's list, an address or a prefix"),
};

const place = z.strictObject({ file: z.string(), line: z.int().positive() });

const step = z
  .looseObject({
    kind: z.enum(phaseOrder as readonly [StepKind, ...StepKind[]]),
    text: z.string().describe("In words, as `xgw plan -v` has it"),
    for: z
      .strictObject({ tenant: z.string(), ...purpose })
      .optional()
      .describe("Missing of what is the gateway's, or several tenants'"),
  })
  .describe("By its kind, it has other fields beside these");

const tenant = z.strictObject({
  name: z.string(),
  change: z.enum(["new", "changed", "removed"]),
  steps: z.int().positive(),
  changes: z.array(
    z.strictObject({
      sign: z.enum(["+", "~", "-", ">"]).describe("It comes, changes, goes; >: what is decided anew"),
      ...purpose,
      text: z.string().describe("In words, as the config has it"),
      steps: z.int().positive(),
      place: place.optional().describe("Missing of what the config has no more, and where there are more than 1,000"),
    }),
  ),
});

export const edit = z.strictObject({
  text: z.string(),
  tenant: z.string().optional().describe("Missing of what is the gateway's"),
  place: place.optional().describe("In the newer config; missing of what it has no more"),
});

const common = {
  instance: z.string(),
  tenants: z.array(tenant).describe("Those with steps, in the order of their ids"),
  steps: z.array(step).describe("In the order in which they are run"),
  warnings: z
    .array(z.string())
    .describe("What is not xgw's to change and stands in the way of what the config promises"),
};

export const planSchema = z.strictObject({
  ...common,
  daemon: z
    .strictObject({
      pid: z.int(),
      file: z.string().optional().describe("The config that the daemon follows; an older daemon does not say"),
      isFollowed: z.boolean().describe("Whether that is the file that this plan is of"),
    })
    .optional()
    .describe("The daemon of the instance, where one answers"),
  edits: z
    .array(edit)
    .optional()
    .describe("What this file has otherwise than the one that the daemon follows, where that is another, and right"),
});

export const confirmSchema = z.strictObject({
  instance: z.string(),
  file: z.string().describe("The config that the trial was of"),
  outcome: z.enum(["kept", "taken back"]),
});

export const applySchema = z.strictObject({
  ...common,
  trial: z
    .strictObject({ file: z.string().describe("For `xgw confirm -c`"), seconds: z.number().positive() })
    .optional()
    .describe("With --confirm: it is taken back after so long unless `xgw confirm` keeps it"),
  flowsLeft: z.int().nonnegative().describe("Flows that have no room in the flow table: the kernel carries them"),
});
