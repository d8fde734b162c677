/** A command is data: this file says of what kind. Its module is loaded with every start, so it imports little. */

import type { InferredOptionTypes, Options, PositionalOptions } from "yargs";
import type { ExitCode } from "../errors.js";
import type { Logger } from "../log.js";
import type { LogLevel } from "../log-level.js";

/** What a handler gets besides its own options. */
export interface Context {
  /** From `-c`. */
  readonly configFile: string;
  /** All that there are, for the one that runs others. */
  readonly commands: readonly Command[];
  /** `-j` or `-p`: the result goes to stdout as one JSON value and nothing else does. */
  readonly json: boolean;
  /** `-p`: JSON with one member a line. */
  readonly pretty: boolean;
  /** Of the terminal that the result goes to; undefined when it goes elsewhere. */
  readonly columns: number | undefined;
  /** Aborted when whoever read stdout has gone: a command that prints for ever ends then, others finish their work. */
  readonly outputClosed: AbortSignal;
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
  readonly options: O;
  /** Whole command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, meaning: string])[];
  /** It changes nothing, whatever its options say, so that members of the group xgw-viewer may have it run for them. */
  readonly isForViewers?: boolean;
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
