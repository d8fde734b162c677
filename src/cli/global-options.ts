/** What every command takes. */

import { type LogLevel, logLevels } from "../log-level.js";

export const defaultConfigFile = "/etc/xgw/xgw.yaml";

export const globalOptions = {
  config: {
    alias: "c",
    type: "string",
    requiresArg: true,
    default: defaultConfigFile,
    describe: "The config file; tenants may also lie in tenants.d/*.yaml beside it",
  },
  json: { alias: "j", type: "boolean", describe: "Print the result as JSON" },
  pretty: { alias: "p", type: "boolean", describe: "Print the result as indented JSON" },
  verbose: { alias: "v", type: "count", describe: "Show and log more: -v for debug, -vv for trace" },
  "log-level": {
    type: "string",
    choices: logLevels,
    requiresArg: true,
    describe: "Log from this level on (also: the variable XGW_LOG)",
  },
} as const;

export interface GlobalArguments {
  readonly config: string;
  readonly json: boolean;
  readonly pretty: boolean;
  readonly verbose: number;
  readonly logLevel: LogLevel | undefined;
}
