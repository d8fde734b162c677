/** What of the commands is for those who may only look. */

import { UsageError } from "../errors.js";
import type { Command } from "./command.js";
import { defaultConfigFile } from "./global-options.js";

/** Those that only look, each with the config in its place alone: what is wrong in a file shows what is in it. */
export function viewersCommands(commands: readonly Command[]): Command[] {
  return commands.flatMap((command): Command[] => {
    if (command.verbs) {
      const verbs = viewersCommands(command.verbs);
      return verbs.length === 0 ? [] : [{ ...command, verbs }];
    }
    return command.readOnly === true ? [{ ...command, handler: withOwnConfig(command.handler) }] : [];
  });
}

function withOwnConfig(handler: Command["handler"]): Command["handler"] {
  return (args, context) => {
    if (context.configFile === defaultConfigFile) return handler(args, context);
    throw new UsageError("xgw-view takes no -c", { remedy: `it reads ${defaultConfigFile}: leave -c out` });
  };
}
