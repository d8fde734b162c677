import { defineCommand } from "../command.js";

export const completion = defineCommand({
  name: "completion",
  summary: "Print the script by which a shell completes xgw's words",
  description:
    "Verbs, options and their values; names of tenants, instances, devices, rules, maps, programs and attachments that there are. Of what needs a privilege to be seen, who has none is offered nothing. The Debian package installs all three.",
  positionalUsage: "<shell>",
  positionals: {
    shell: { type: "string", choices: ["bash", "zsh", "fish"], demandOption: true, describe: "For which" },
  },
  options: {},
  examples: [
    [". <(xgw completion bash)", "in ~/.bashrc"],
    [". <(xgw completion zsh)", "in ~/.zshrc, behind compinit"],
    ["xgw completion fish > ~/.config/fish/completions/xgw.fish", "once"],
  ],
  async handler({ shell }, context) {
    const { scriptFor } = await import("../completion/scripts.js");
    const script = scriptFor(shell as "bash");
    if (context.json) context.printJson({ shell, script });
    else context.print(script.trimEnd());
  },
});
