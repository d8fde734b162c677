import { defineCommand } from "../command.js";
import { checkAction, inspectOptions, show } from "../inspect.js";

export const link = defineCommand({
  name: "link",
  summary: "Show BPF links as bpftool does, and for which tenant",
  isForViewers: true,
  description: "show, of xgw's links, or with --all of all. WHICH: id N, pinned PATH, or the name of xgw's attachment.",
  positionalUsage: "[words..]",
  positionals: { words: { type: "string", array: true, default: [], describe: "show, and WHICH" } },
  options: inspectOptions,
  examples: [
    ["xgw link show", "what is attached to NICs, tunnels and the kernel"],
    ["xgw link show xdp_eth0", "one of them"],
  ],
  async handler({ words: [action = "show", ...which], ...args }, context) {
    checkAction(action, ["show"]);
    const { shownLinks } = await import("../../datapath/inspect/shown.js");
    const { linkLines } = await import("../output/bpftool-text.js");
    await show(
      {
        name: "attachment",
        list: ({ inventory, devices }, options) => shownLinks(inventory, devices, options),
        lines: linkLines,
      },
      which,
      args,
      context,
    );
  },
});
