/** What docs/operate.md says that an operator sees. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { repoRoot } from "../../root.js";
import type { Check } from "../check.js";
import { startTraffic } from "../keep.js";
import { commandsShown, firstMissing } from "../questions.js";

export const questionsAnswered: Check = {
  id: "questions",
  title: "the twenty questions of docs/operate.md",
  wanted: "each command prints what is shown, but for what is counted",
  async run(lab) {
    const shown = commandsShown(await readFile(join(repoRoot, "docs", "operate.md"), "utf8"), "Twenty questions");
    const stopTraffic = await startTraffic(lab);
    await sleep(5000);
    const wrong: string[] = [];
    for (const { command, lines } of shown) {
      const [verb = "", ...words] = command;
      const { stdout, stderr } = await lab.xgw.run(verb, ...words);
      const missing = firstMissing(lines, stdout + stderr);
      if (missing !== undefined) wrong.push(`xgw ${command.join(" ")} has no ${missing.trim()} but ${stdout}${stderr}`);
    }
    await stopTraffic();
    const seen = `${shown.length - wrong.length} of ${shown.length}`;
    return { ok: wrong.length === 0 && shown.length >= 20, seen: [seen, ...wrong].join("; ") };
  },
};
