/** Every command, in the order of the help. */

import type { Command } from "../command.js";
import { validate } from "./validate.js";

export const commands: readonly Command[] = [validate];
