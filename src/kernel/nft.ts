/** The nft command line: scripts, each of which is one transaction. What there is is read in ./nftables.ts. */

import { crashPoint } from "../crash.js";
import { XgwError } from "../errors.js";
import { runScript, somethingElse } from "./script.js";

/** Runs a script as one transaction: all of it or nothing. */
export async function applyScript(script: string): Promise<void> {
  if (script === "") return;
  await runScript("nft", ["-f", "-"], script, nftError);
  crashPoint("nft transaction");
}

/** Of what is quoted, characters: a command may have thousands of elements. */
const quotedLength = 200;

/**
 * The first thing that is wrong: the place, what it is, and the command, which nft quotes whole.
 *
 * @param said by nft
 */
export function nftError(said: string): XgwError {
  const [, why = said.trim(), command = ""] = /Error: (.*)\n(.*)/.exec(said) ?? [];
  const quoted = command.length > quotedLength ? `${command.slice(0, quotedLength)}…` : command;
  return new XgwError(`nft did not take the rules: ${why.slice(0, quotedLength)}${quoted && `, at: ${quoted}`}`, {
    remedy: somethingElse,
    details: { program: "nft" },
  });
}
