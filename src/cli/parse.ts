/** The command line, by yargs: which command, with which arguments; or the text of a help. Runs nothing. */

import yargs, { type Argv } from "yargs";
import { nearest } from "../config/nearest.js";
import { UsageError } from "../errors.js";
import { type LogLevel, logLevels } from "../log-level.js";
import type { Command } from "./command.js";

export const defaultConfigFile = "/etc/xgw/xgw.yaml";

const globalOptions = {
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

export type Parsed =
  | {
      readonly kind: "run";
      readonly command: Command;
      readonly args: Readonly<Record<string, unknown>>;
      readonly globals: GlobalArguments;
    }
  /** Help or version was asked for. */
  | { readonly kind: "text"; readonly text: string };

/** @throws UsageError for what cannot be understood */
export async function parseArguments(
  argv: readonly string[],
  commands: readonly Command[],
  options: { readonly version: string; readonly columns?: number | undefined },
): Promise<Parsed> {
  let chosen: Command | undefined;
  const parser = buildParser(commands, options, (command) => {
    chosen = command;
  });
  let text = "";
  const parsed = (await parser.parseAsync([...argv], {}, (_error, _args, output) => {
    text = output;
  })) as Record<string, unknown>;
  if (text !== "") return { kind: "text", text };
  const args = lastOfEach(parsed, chosen);
  if (!chosen) throw new UsageError("no command given", { remedy: "xgw --help lists them" });
  const globals: GlobalArguments = {
    config: String(args.config),
    json: args.json === true || args.pretty === true,
    pretty: args.pretty === true,
    verbose: Number(args.verbose ?? 0),
    logLevel: args.logLevel as LogLevel | undefined,
  };
  if (globals.config === "")
    throw new UsageError("-c needs a file", { remedy: `leave it out for ${defaultConfigFile}` });
  return { kind: "run", command: chosen, args, globals };
}

/** Of an option that is given more than once the last counts. What takes many words is declared so. */
function lastOfEach(args: Record<string, unknown>, command: Command | undefined): Record<string, unknown> {
  const many = Object.entries({ ...command?.options, ...command?.positionals }).filter(([, { array }]) => array);
  const isMany = (name: string) => name === "_" || many.some(([one]) => one === name);
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) => [name, Array.isArray(value) && !isMany(name) ? value.at(-1) : value]),
  );
}

function buildParser(
  commands: readonly Command[],
  { version, columns }: { readonly version: string; readonly columns?: number | undefined },
  choose: (command: Command) => void,
): Argv {
  const parser = yargs()
    .scriptName("xgw")
    .locale("en")
    .detectLocale(false)
    .usage("$0 COMMAND [OPTIONS]\n\nMulti-tenant gateways: the kernel decides once, XDP repeats it.")
    .parserConfiguration({ "boolean-negation": false, "duplicate-arguments-array": true })
    .options(globalOptions)
    .group(Object.keys(globalOptions), "Options of every command:")
    .version(version)
    .alias("version", "V")
    .help()
    .alias("help", "h")
    .group(["help", "version"], "Options of every command:")
    .strict()
    .strictCommands()
    .demandCommand(1, "no command given")
    .exitProcess(false)
    .showHelpOnFail(false)
    .wrap(Math.min(100, Math.max(60, columns ?? 100)))
    .example("$0 validate", "check the config before anything uses it")
    .epilogue(
      "Exit codes: 0 done, 1 failed, 2 usage or config, 3 the kernel or NIC cannot, 4 permission, 5 a foreign object is in the way.",
    )
    .fail((message, thrown) => {
      // A fault in the arguments is thrown by yargs as its own error class at times.
      if (thrown && thrown.name !== "YError") throw thrown;
      throw usageError(message || thrown.message, commands);
    });
  for (const command of commands) addCommand(parser, command, "", choose);
  return parser;
}

/** @param before the words in front of its name */
function addCommand(parser: Argv, command: Command, before: string, choose: (command: Command) => void): void {
  const usage = command.positionalUsage === undefined ? command.name : `${command.name} ${command.positionalUsage}`;
  parser.command(
    usage,
    command.summary,
    (sub) => describeCommand(sub, command, `${before}${usage}`, choose),
    () => choose(command),
  );
}

function describeCommand(parser: Argv, command: Command, usage: string, choose: (command: Command) => void): Argv {
  const { verbs = [] } = command;
  const words = verbs.length > 0 ? `${usage} COMMAND` : usage;
  parser.usage(`$0 ${words} [OPTIONS]\n\n${command.description ?? command.summary}`);
  for (const [name, positional] of Object.entries(command.positionals ?? {})) parser.positional(name, positional);
  parser.options({ ...command.options });
  for (const [line, meaning] of command.examples) parser.example(line, meaning);
  for (const verb of verbs) addCommand(parser, verb, `${command.name} `, choose);
  if (verbs.length > 0) return parser.demandCommand(1, "no command given");
  return parser.demandCommand(0, 0, "", "there are too many arguments");
}

/** yargs' complaint, with what was most likely meant. */
function usageError(message: string, commands: readonly Command[]): UsageError {
  const all = commands.flatMap((command) => [command, ...(command.verbs ?? [])]);
  const names = commands.map((command) => command.name);
  const unknown = /^Unknown (command|argument)s?: (.+)$/.exec(message);
  const word = unknown?.[2]?.split(", ")[0];
  if (!unknown || word === undefined) {
    return new UsageError(plainWords(message), { remedy: "xgw --help says more" });
  }
  if (unknown[1] === "command") {
    const guess = nearest(
      word,
      all.map((command) => command.name),
    );
    const remedy = guess === undefined ? `the commands are ${names.join(", ")}` : `did you mean "${guess}"?`;
    return new UsageError(`there is no command "${word}"`, { remedy });
  }
  const options = [
    ...Object.keys(globalOptions),
    "help",
    "version",
    ...all.flatMap(({ options: own }) => Object.keys(own)),
  ];
  const guess = nearest(word, options);
  const remedy = guess === undefined ? "add --help to see what it takes" : `did you mean --${guess}?`;
  return new UsageError(`there is no option or argument "${word}" here`, { remedy });
}

/** yargs' message on one line, begun like ours. */
function plainWords(message: string): string {
  const missing = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  if (missing !== undefined) return `${missing.length === 1 ? "-" : "--"}${missing} needs a value`;
  const line = message.replaceAll(/\s*\n\s*/g, " ").trim();
  return line.charAt(0).toLowerCase() + line.slice(1);
}
