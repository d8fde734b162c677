/** From arguments to an exit code: parses, runs the command, and prints what it threw. Knows no process. */

import { ConfigError, exitCodes, PermissionError, toXgwError, XgwError } from "../errors.js";
import type { LogTarget } from "../log.js";
import { chooseLevel } from "../log-level.js";
import { packageVersion } from "../version.js";
import type { Command, Context, ReadKey } from "./command.js";
import { completionWord } from "./completion/word.js";
import type { GlobalArguments } from "./global-options.js";
import { problemLines } from "./problems.js";
import { type StreamTarget, streamTo } from "./stream.js";

export interface Surroundings {
  readonly stdout: StreamTarget & { readonly columns?: number | undefined };
  readonly stderr: LogTarget;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly outputClosed: AbortSignal;
  readonly program: Context["program"];
  readonly readKey?: ReadKey;
  /** Of the user; undefined: it does not matter. */
  readonly uid?: number | undefined;
}

/** Runs one command line; never throws. */
export async function runCli(
  argv: readonly string[],
  commands: readonly Command[],
  surroundings: Surroundings,
): Promise<number> {
  if (argv[0] === completionWord) {
    const { complete } = await import("./completion/complete.js");
    for (const line of await complete(argv.slice(1), commands)) surroundings.stdout.write(`${line}\n`);
    return exitCodes.done;
  }
  // Before the arguments are understood, a plain look must do to know how an error is to be printed.
  let json = argv.some((word) => word === "--json" || word === "--pretty" || /^-[a-zA-Z]*[jp]/.test(word));
  try {
    const { parseArguments } = await import("./parse.js");
    const parsed = await parseArguments(argv, commands, {
      version: packageVersion(),
      columns: surroundings.stdout.columns,
    });
    if (parsed.kind === "text") {
      surroundings.stdout.write(`${parsed.text}\n`);
      return exitCodes.done;
    }
    json = parsed.globals.json;
    const context = makeContext(parsed.command, parsed.globals, surroundings);
    const { command } = parsed;
    const mayLook = command.readOnly === true && surroundings.uid !== undefined && surroundings.uid !== 0;
    const done = Promise.resolve(command.handler(parsed.args, context));
    return (await (mayLook ? done.catch(asViewers) : done)) ?? exitCodes.done;
  } catch (thrown) {
    return complain(thrown, json, surroundings);
  }
}

function makeContext(command: Command, globals: GlobalArguments, surroundings: Surroundings): Context {
  const { stdout, stderr, env, outputClosed } = surroundings;
  let logger: ReturnType<Context["log"]> | undefined;
  return {
    configFile: globals.config,
    json: globals.json,
    pretty: globals.pretty,
    verbose: globals.verbose > 0,
    columns: stdout.columns,
    outputClosed,
    readKey: surroundings.readKey,
    program: surroundings.program,
    stream: (pieces) => streamTo(stdout, pieces, outputClosed),
    print: (text) => void stdout.write(`${text}\n`),
    printJson: (value) => void stdout.write(`${JSON.stringify(value, null, globals.pretty ? 2 : undefined)}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    log: () => {
      logger ??= import("../log.js").then(({ createLogger }) => {
        const { logLevel: option, verbose } = globals;
        const level = chooseLevel({ option, verbose, environment: env.XGW_LOG, fallback: command.logLevel });
        return createLogger({ level, target: stderr });
      });
      return logger;
    },
  };
}

/** Who may not see it is told who may. */
function asViewers(thrown: unknown): never {
  const { code, message, details } = toXgwError(thrown);
  if (code !== "XGW_PERMISSION") throw thrown;
  const remedy = "run it as root, or, as a member of the group xgw-viewer, by `sudo xgw-view` instead of `xgw`";
  throw new PermissionError(message, { cause: thrown, remedy, details });
}

/** An error for people on stderr, or for programs on stdout; and its exit code. */
function complain(thrown: unknown, json: boolean, { stdout, stderr }: Surroundings): number {
  const error = toXgwError(thrown);
  const isBug = !(thrown instanceof XgwError) && (thrown as NodeJS.ErrnoException).code === undefined;
  if (json) stdout.write(`${JSON.stringify({ ok: false, error })}\n`);
  else if (error instanceof ConfigError) stderr.write(`${problemLines(error).join("\n")}\n`);
  else stderr.write(`xgw: ${error.message}${error.remedy === undefined ? "" : `; ${error.remedy}`}\n`);
  if (isBug && thrown instanceof Error) stderr.write(`This is a bug in xgw:\n${thrown.stack}\n`);
  return error.exitCode;
}
