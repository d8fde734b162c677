/** Programs that read what they are to do from standard input, line by line, and say of a line why they did not take it. */

import type { XgwError } from "../errors.js";
import { run } from "./spawn.js";

/** What mends a change that the kernel did not take, though it follows from what there was a moment before. */
export const somethingElse =
  "something else may be changing or removing what it names, such as a device: see `xgw plan`; the daemon tries again by itself";

/**
 * Runs a program over a script.
 *
 * @param toError of what the program said on standard error, where it ended by itself with exit code 1
 */
export async function runScript(
  program: string,
  args: readonly string[],
  script: string,
  toError: (said: string) => XgwError,
): Promise<void> {
  const { code, stderr } = await run(program, args, { input: script, okCodes: [1] });
  if (code !== 0) throw toError(stderr);
}
