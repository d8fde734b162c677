#!/usr/bin/env node
/** The `xgw` command. */

import { commands } from "./commands/index.js";
import { runProcess } from "./process.js";

await runProcess(commands);
