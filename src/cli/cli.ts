/** From arguments to an exit code: parses, runs the command, and prints what it threw. Knows no process. */

import { ConfigError, exitCodes, toXgwError, XgwError } from "../errors.js";
import type { LogTarget } from "../log.js";
import { chooseLevel } from "../log-level.js";
import type { Command, Context } from "./command.js";
import { type GlobalArguments, type Parsed, parseArguments } from "./parse.js";
import { problemLines } from "./problems.js";
import { type StreamTarget, streamTo } from "./stream.js";
import { packageVersion } from "./version.js";

export interface Surroundings {
  readonly stdout: StreamTarget & { readonly columns?: number | undefined };
  readonly stderr: LogTarget;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly outputClosed: AbortSignal;
  /** Has the command run by somebody who may, and returns its exit code; undefined when this process is to run it. */
  readonly elsewhere?: (parsed: Parsed & { readonly kind: "run" }) => Promise<number | undefined>;
  /** Says which config file it is to be. Throws for what is not to be run here. */
  readonly admit?: (parsed: Parsed & { readonly kind: "run" }) => string;
}

/** Runs one command line; never throws. */
export async function runCli(
  argv: readonly string[],
  commands: readonly Command[],
  surroundings: Surroundings,
): Promise<number> {
  // Before the arguments are understood, a plain look must do to know how an error is to be printed.
  let json = argv.some((word) => word === "--json" || word === "--pretty" || /^-[a-zA-Z]*[jp]/.test(word));
  try {
    const parsed = await parseArguments(argv, commands, {
      version: packageVersion(),
      columns: surroundings.stdout.columns,
    });
    if (parsed.kind === "text") {
      surroundings.stdout.write(`${parsed.text}\n`);
      return exitCodes.done;
    }
    json = parsed.globals.json;
    const elsewhere = await surroundings.elsewhere?.(parsed);
    if (elsewhere !== undefined) return elsewhere;
    const config = surroundings.admit?.(parsed) ?? parsed.globals.config;
    const context = makeContext(parsed.command, { ...parsed.globals, config }, surroundings, commands);
    return (await parsed.command.handler(parsed.args, context)) ?? exitCodes.done;
  } catch (thrown) {
    return complain(thrown, json, surroundings);
  }
}

function makeContext(
  command: Command,
  globals: GlobalArguments,
  surroundings: Surroundings,
  commands: readonly Command[],
): Context {
  const { stdout, stderr, env, outputClosed } = surroundings;
  let logger: ReturnType<Context["log"]> | undefined;
  return {
    configFile: globals.config,
    commands,
    json: globals.json,
    pretty: globals.pretty,
    columns: stdout.columns,
    outputClosed,
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
