import type { Form, OpenMap } from "../../datapath/inspect/elements.js";
import type { Shown } from "../../datapath/inspect/shown.js";
import { type ExitCode, exitCodes, UsageError } from "../../errors.js";
import type { Inspection } from "../../observe/inspection.js";
import { type Context, defineCommand } from "../command.js";
import { checkAction, type InspectArguments, inspectOptions, show } from "../inspect.js";
import { instancesInScope } from "../scope.js";
import { parseSelection, reachesAll, type Selection, select } from "../selection.js";

export const map = defineCommand({
  name: "map",
  summary: "Show BPF maps as bpftool does, and what is in them",
  isForViewers: true,
  description:
    "show, dump MAP, or lookup MAP KEY. MAP: id N, name NAME, pinned PATH, or a name alone. KEY: a word for each field as dump shows them, in their order or as field=value; or bytes as bpftool takes them, after the word key. lookup exits with 1 when there is none. dump tells the flow table by flows, not by buckets.",
  positionalUsage: "[words..]",
  positionals: { words: { type: "string", array: true, default: [], describe: "show, dump or lookup; MAP; KEY" } },
  options: {
    ...inspectOptions,
    used: { type: "boolean", describe: "dump: without elements of arrays that are all zero" },
  },
  examples: [
    ["xgw map show", "every map, and what it is for"],
    ["xgw map dump flows -j | jq -c '.[].xgw.value'", "the flows that XDP knows"],
    ["xgw map lookup endpoints user1 10.0.0.7", "which tunnel endpoint has the address"],
    ["xgw map lookup peers tenant=1 address=172.168.0.7", "by the names of the fields"],
  ],
  async handler({ words: [action = "show", ...what], used = false, ...args }, context) {
    const verb = checkAction(action, ["show", "dump", "lookup"]);
    if (verb === "show") return await showMaps(what, args, context);
    if (what.length === 0) throw new UsageError("which map?", { remedy: `as in \`xgw map ${verb} flows\`` });
    const { selection, rest } = parseSelection(what);
    const { inspect } = await import("../../observe/inspection.js");
    const isAll = args.all === true || reachesAll(selection);
    const inspection = inspect(await instancesInScope({ ...args, all: isAll }, context));
    const { openMap } = await import("../../datapath/inspect/elements.js");
    const found = await theMap(inspection, selection, isAll);
    const { instance = "", map: owned } = (found.xgw ?? {}) as { instance?: string; map?: string };
    using opened = openMap({ id: Number(found.id) });
    const names = inspection.namesOf(instance);
    const open: OpenMap = { map: opened, names, ...(owned === undefined ? {} : { owned }) };
    if (verb === "lookup") return await lookUpIn(open, rest, context);
    if (rest.length > 0) throw new UsageError(`there is a word too many: ${JSON.stringify(rest[0])}`);
    return await dumpOf(open, used, context);
  },
});

async function showMaps(which: readonly string[], args: InspectArguments, context: Context): Promise<undefined> {
  const { shownMaps } = await import("../../datapath/inspect/shown.js");
  const { mapLines } = await import("../output/bpftool-text.js");
  const list = ({ inventory }: Inspection, options: Parameters<typeof shownMaps>[1]) => shownMaps(inventory, options);
  await show({ name: "map", list, lines: mapLines }, which, args, context);
}

/** @throws UsageError when several have the name */
async function theMap({ inventory }: Inspection, selection: Selection, isAll: boolean): Promise<Shown> {
  const { shownMaps } = await import("../../datapath/inspect/shown.js");
  const all = shownMaps(inventory, { isAll, pinned: selection.by === "pinned" });
  const [first, ...others] = select(all, selection, "map");
  if (first && others.length === 0) return first;
  const ids = [first, ...others].map((one) => `${one?.id}${one?.xgw ? ` (${one.xgw.instance})` : ""}`);
  throw new UsageError(`several maps are meant: ${ids.join(", ")}`, { remedy: "say which: id N, or --instance NAME" });
}

async function formFor(open: OpenMap, { json }: Context): Promise<Form> {
  const { hasWords } = await import("../../datapath/inspect/elements.js");
  return json ? "json" : hasWords(open) ? "words" : "hex";
}

async function dumpOf(open: OpenMap, isUsedOnly: boolean, context: Context): Promise<undefined> {
  const { dump } = await import("../../datapath/inspect/elements.js");
  const { listPieces, hexPieces } = await import("../output/elements.js");
  const form = await formFor(open, context);
  const elements = dump(open, { form, isUsedOnly });
  await context.stream(form === "hex" ? hexPieces(elements) : listPieces(elements, context.pretty || !context.json));
}

async function lookUpIn(open: OpenMap, words: readonly string[], context: Context): Promise<ExitCode> {
  const { hexText, lookUp } = await import("../../datapath/inspect/elements.js");
  const { indentJson } = await import("../output/indent.js");
  const form = await formFor(open, context);
  const { key, element } = lookUp(open, words, form);
  if (element === undefined) {
    context.print(context.json ? "null" : `key:\n${hexText(key)}\n\nNot found`);
    return exitCodes.failed;
  }
  const isIndented = form !== "hex" && (context.pretty || !context.json);
  context.print(isIndented ? indentJson(element) : element);
  return exitCodes.done;
}
