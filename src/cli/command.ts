/** A command is data: this file says of what kind. Its module is loaded with every start, so it imports little. */

import type { InferredOptionTypes, Options, PositionalOptions } from "yargs";
import type { ExitCode } from "../errors.js";
import type { Logger } from "../log.js";
import type { LogLevel } from "../log-level.js";

export type ReadKey = (keys: readonly string[], signal: AbortSignal) => Promise<string | undefined>;

/** What a handler gets besides its own options. */
export interface Context {
  /** From `-c`. */
  readonly configFile: string;
  /** `-j` or `-p`: the result goes to stdout as one JSON value and nothing else does. */
  readonly json: boolean;
  /** `-p`: JSON with one member a line. */
  readonly pretty: boolean;
  /** `-v`: more than usual. */
  readonly verbose: boolean;
  /** Of the terminal that the result goes to; undefined when it goes elsewhere. */
  readonly columns: number | undefined;
  /** Aborted when whoever read stdout has gone: a command that prints for ever ends then, others finish their work. */
  readonly outputClosed: AbortSignal;
  /**
   * One of these keys, as soon as it is pressed; undefined when the signal comes first. Missing where nobody sits at a terminal.
   */
  readonly readKey: ReadKey | undefined;
  /** The words by which `xgw` is started, for what a command leaves to a process of its own. */
  readonly program: readonly [string, ...string[]];
  /** The result, for people. Adds the line end. */
  print(text: string): void;
  /** The result, for programs: compact, or indented with `-p`. */
  printJson(value: unknown): void;
  /** A result that is too much for one piece, as fast as it is read. Ends early, and well, when nobody reads any more. */
  stream(pieces: Iterable<string>): Promise<void>;
  /** Notes for people on stderr: warnings, progress. Adds the line end. */
  note(text: string): void;
  /** The logger, at the level asked for; loaded when first wanted. */
  log(): Promise<Logger>;
}

/** Names that are looked up when a shell completes them. */
export type NameKind =
  | "tenants"
  | "instances"
  | "devices"
  | "rules"
  | "maps"
  | "programs"
  | "attachments"
  /** The shell knows them itself. */
  | "files";

type OptionTable = Readonly<Record<string, Options>>;
type PositionalTable = Readonly<Record<string, PositionalOptions>>;

export interface CommandSpec<O extends OptionTable, P extends PositionalTable> {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** More, for the command's own help. */
  readonly description?: string;
  /** As in `<name> [other]`; each is described in `positionals`. */
  readonly positionalUsage?: string;
  readonly positionals?: P;
  /** What may stand at each place of a positional that takes many words, for shells to complete. */
  readonly places?: readonly (readonly string[] | NameKind)[];
  readonly options: O;
  /** Whole command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, meaning: string])[];
  /** Exit codes that say something else than usual. */
  readonly exitStatus?: readonly (readonly [code: ExitCode, meaning: string])[];
  /** It changes nothing, and reads and writes no file that the command line names but the config: who may only look may run it. */
  readonly readOnly?: true;
  /** What it logs when nobody says: `warn` unless given. */
  readonly logLevel?: LogLevel;
  /** Imports what is heavy when called. Returns the exit code, 0 when none. Throws XgwError for others to print. */
  handler(
    args: InferredOptionTypes<O> & InferredOptionTypes<P>,
    context: Context,
  ): Promise<ExitCode | undefined> | Promise<void>;
}

/** A command whose option types are forgotten, so that different ones fit into one list. */
export type Command = Omit<CommandSpec<OptionTable, PositionalTable>, "handler"> & {
  /** Its verbs, of which one has to be given: the command itself has no handler then. */
  readonly verbs?: readonly Command[];
  handler(args: Readonly<Record<string, unknown>>, context: Context): Promise<ExitCode | undefined> | Promise<void>;
};

/** Gives the handler the types of its options. */
export function defineCommand<const O extends OptionTable, const P extends PositionalTable = Record<never, never>>(
  spec: CommandSpec<O, P>,
): Command {
  return spec as unknown as Command;
}

/** A command that is only the first word of others. */
export function defineGroup(group: {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly verbs: readonly Command[];
}): Command {
  const examples = group.verbs.flatMap((verb) => verb.examples.slice(0, 1));
  const handler = (): Promise<void> => Promise.reject(new Error(`${group.name} was given no verb`));
  return { ...group, options: {}, examples, handler };
}
