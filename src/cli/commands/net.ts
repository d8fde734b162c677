import { UsageError } from "../../errors.js";
import { defineCommand } from "../command.js";
import { checkAction } from "../inspect.js";
import { instancesInScope, scopeOptions } from "../scope.js";

export const net = defineCommand({
  name: "net",
  summary: "Show what hangs on the devices, as bpftool does",
  isForViewers: true,
  description:
    "show, of xgw's programs, or with --all of all: XDP and tc of this network namespace, and programs in netfilter of any.",
  positionalUsage: "[words..]",
  positionals: { words: { type: "string", array: true, default: [], describe: "show" } },
  options: scopeOptions,
  examples: [
    ["xgw net show", "on which devices packets meet xgw"],
    ["xgw net show --all", "and whom else they meet there"],
  ],
  async handler({ words: [action = "show", ...rest], ...args }, context) {
    checkAction(action, ["show"]);
    if (rest.length > 0) throw new UsageError(`there is a word too many: ${JSON.stringify(rest[0])}`);
    const { shownNet } = await import("../../datapath/inspect/shown.js");
    const { inspect } = await import("../../observe/inspection.js");
    const { fold, netLines } = await import("../output/bpftool-text.js");
    const { inventory, devices } = inspect(await instancesInScope(args, context));
    const shown = shownNet(inventory, devices, args.all === true);
    if (context.json) context.printJson([shown]);
    else for (const line of fold(netLines(shown), context.columns)) context.print(line);
  },
});
