#!/usr/bin/env node
/** The `xgw-view` command, which others than root may run as root: it has the verbs that only look, at the config in its place. */

import { commands } from "./commands/index.js";
import { completionWord } from "./completion/word.js";
import { runProcess } from "./process.js";
import { viewersCommands } from "./viewers.js";

// Completion reads whatever config its words name.
if (process.argv[2] !== completionWord) await runProcess(viewersCommands(commands));
