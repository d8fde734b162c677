import { defineCommand } from "../command.js";
import { checkAction, inspectOptions, show } from "../inspect.js";

const statistics = "kernel.bpf_stats_enabled";

export const prog = defineCommand({
  name: "prog",
  summary: "Show BPF programs as bpftool does, and whose they are",
  isForViewers: true,
  description: `show, of xgw's programs, or with --all of all. How often and how long each ran is told while the kernel counts it (sysctl -w ${statistics}=1, which costs some nanoseconds a run). WHICH: id N, name NAME, tag TAG, pinned PATH, or a name alone.`,
  positionalUsage: "[words..]",
  positionals: { words: { type: "string", array: true, default: [], describe: "show, and WHICH" } },
  options: inspectOptions,
  examples: [
    ["xgw prog show", "every program, with what it is attached to"],
    ["xgw prog show xgw_xdp -j | jq .xgw.ns_per_run", "what a packet costs in XDP"],
  ],
  async handler({ words: [action = "show", ...which], ...args }, context) {
    checkAction(action, ["show"]);
    const { shownPrograms } = await import("../../datapath/inspect/shown.js");
    const { programLines } = await import("../output/bpftool-text.js");
    const { readSysctl } = await import("../../kernel/sysctl.js");
    await show(
      {
        name: "program",
        list: ({ inventory, devices }, options) => shownPrograms(inventory, devices, options),
        lines: programLines,
      },
      which,
      args,
      context,
    );
    if (!context.json && readSysctl(statistics) === "0")
      context.note(`run figures are off; to count from now on: sysctl -w ${statistics}=1`);
  },
});
