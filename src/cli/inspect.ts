/** What `prog`, `map` and `link` have in common. */

import type { Shown, ShownOptions } from "../datapath/inspect/shown.js";
import { UsageError } from "../errors.js";
import type { Inspection } from "../observe/inspection.js";
import type { Context } from "./command.js";
import { fold } from "./output/bpftool-text.js";
import { instancesInScope, scopeOptions } from "./scope.js";
import { parseSelection, reachesAll, select } from "./selection.js";

export const inspectOptions = {
  ...scopeOptions,
  bpffs: { alias: "f", type: "boolean", describe: "Also where each is pinned, in all bpffs" },
} as const;

export interface InspectArguments {
  readonly instance?: string | undefined;
  readonly all?: boolean | undefined;
  readonly bpffs?: boolean | undefined;
}

/** @throws UsageError naming the actions that there are */
export function checkAction<T extends string>(action: string, actions: readonly T[]): T {
  // bpftool's other word for it.
  const found = actions.find((one) => one === (action === "list" ? "show" : action));
  if (found !== undefined) return found;
  throw new UsageError(`there is no ${JSON.stringify(action)} here`, { remedy: `use ${actions.join(", ")}` });
}

export interface Kind {
  readonly name: "program" | "map" | "attachment";
  readonly list: (inspection: Inspection, options: ShownOptions) => Shown[];
  readonly lines: (shown: Shown) => readonly string[];
}

/** One object when words say which, as bpftool does; a list of those in scope, else. Returns what was shown. */
export async function show(
  kind: Kind,
  which: readonly string[],
  args: InspectArguments,
  context: Context,
): Promise<readonly Shown[]> {
  const selected = which.length === 0 ? undefined : parseSelection(which);
  if (selected && selected.rest.length > 0)
    throw new UsageError(`there is a word too many: ${JSON.stringify(selected.rest[0])}`);
  const isAll = args.all === true || (selected !== undefined && reachesAll(selected.selection));
  const { inspect } = await import("../observe/inspection.js");
  const inspection = inspect(await instancesInScope({ ...args, all: isAll }, context));
  const looksAtPins = selected?.selection.by === "pinned";
  const all = kind.list(inspection, { isAll, pinned: args.bpffs === true || looksAtPins });
  const found = selected ? select(all, selected.selection, kind.name) : all;
  const shown = args.bpffs === true || !looksAtPins ? found : found.map(({ pinned: _, ...rest }) => rest);
  if (context.json) context.printJson(selected && shown.length === 1 ? shown[0] : shown);
  else for (const line of fold(shown.flatMap(kind.lines), context.columns)) context.print(line);
  return shown;
}
