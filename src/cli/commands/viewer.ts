import { UsageError } from "../../errors.js";
import { defineCommand } from "../command.js";

export const viewer = defineCommand({
  name: "viewer",
  summary: "Answer one request of a viewer on a socket; systemd starts it",
  description:
    "Members of the group xgw-viewer ask by running xgw themselves. It runs commands that change nothing, on its own config file. See docs/operate.md, Who may look.",
  options: {},
  examples: [["systemctl enable --now xgw-viewer.socket", "lets the group look"]],
  async handler(_args, { configFile, commands }) {
    const { fstatSync } = await import("node:fs");
    const { Socket } = await import("node:net");
    const { answerViewer } = await import("../viewer/answer.js");
    if (!fstatSync(0).isSocket())
      throw new UsageError("standard input is no socket", { remedy: "let xgw-viewer.socket start it" });
    const socket = new Socket({ fd: 0, readable: true, writable: true });
    await answerViewer(socket, configFile, commands).finally(() => socket.destroy());
  },
});
