/** What an edit of the config changed, for the log: a few lines, however much it was. */

import { locateIn, type Sources } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { editsBetween, editText } from "../plan/edits.js";

/** Edits that are told, and of each so many characters. */
const toldMax = 20;
const lengthMax = 300;

/** To find the line in a longer text takes seconds, in which the daemon could do nothing else: the tenant is told without it. */
const charactersMax = 262_144;

export function toldEdits(was: Config, now: Config, sources?: Sources): string[] {
  const edits = editsBetween(was, now);
  const told = edits.slice(0, toldMax).map((edit) => {
    const place = sources && edit.path ? locateIn(sources, edit.path, charactersMax) : undefined;
    const text = editText(edit, place);
    return text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text;
  });
  return edits.length > toldMax ? [...told, `and ${edits.length - toldMax} more`] : told;
}
