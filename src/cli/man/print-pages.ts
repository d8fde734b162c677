/** Writes the manual pages into a directory: `node dist/src/cli/man/print-pages.js DIRECTORY VERSION YYYY-MM-DD`. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commands } from "../commands/index.js";
import { manPages } from "./page.js";

const [directory = "dist/man", version = "unreleased", date = new Date().toISOString().slice(0, 10)] =
  process.argv.slice(2);
mkdirSync(directory, { recursive: true });
for (const [name, text] of manPages(commands, { version, date })) writeFileSync(join(directory, name), text);
