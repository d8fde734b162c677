/** What an edit changed, in lines for people. */

import { type Edit, editText } from "../plan/edits.js";
import type { Followed } from "./followed.js";
import type { Placed } from "./plan-lines.js";

/** Edits that are told. */
const toldMax = 40;

export function editPlace(
  { path }: Edit,
  placed: Placed,
): { readonly file: string; readonly line: number } | undefined {
  if (!path) return undefined;
  const { file, line } = placed.locate(path);
  return line > 0 ? { file, line } : undefined;
}

/** @param file the config at hand */
export function followedLines(followed: Followed | undefined, file: string, placed: Placed): string[] {
  if (!followed || followed.isFollowed) return [];
  const { pid, edits } = followed;
  const head = `${file} is not in force: the daemon ${pid} follows ${followed.file ?? "another file"}`;
  if (!edits) return [head, ""];
  if (edits.length === 0) return [`${head}, which says the same`, ""];
  const told = edits.slice(0, toldMax).map((edit) => `  ${editText(edit, editPlace(edit, placed))}`);
  const more = edits.length - toldMax;
  return [`${head}; against that:`, ...told, ...(more > 0 ? [`  and ${more} more`] : []), ""];
}
