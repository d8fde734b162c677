/** Answers a shell: a line for each word that may stand at the cursor, with its meaning behind a tab; or that files may. */

import type { Command } from "../command.js";
import { type Candidate, completionAt } from "./line.js";

/** The one line where the shell has to look for files. */
export const filesLine = ":files";

/**
 * @param words of the line without the program's name; the last one is at the cursor, and may be empty
 * @returns those that begin as it does
 */
export async function complete(words: readonly string[], commands: readonly Command[]): Promise<string[]> {
  const { begun, before, candidates, names, ...context } = completionAt(words, commands);
  if (names === "files") return [filesLine];
  const found =
    names === undefined ? [] : await import("./names.js").then(({ findNames }) => findNames(names, context));
  return [...candidates, ...found]
    .filter(({ word }) => word.startsWith(begun))
    .map((candidate) => lineOf(candidate, before));
}

const lineOf = ({ word, meaning }: Candidate, before: string): string =>
  before + word + (meaning === undefined ? "" : `\t${meaning.replaceAll(/\s+/g, " ")}`);
