/** Which of what is loaded is meant, in bpftool's words: `id N`, `name NAME`, `tag TAG`, `pinned PATH`, or a name alone. */

import type { Shown } from "../datapath/inspect/shown.js";
import { UsageError, XgwError } from "../errors.js";

export type Selection =
  | { readonly by: "id"; readonly id: number }
  | { readonly by: "name" | "tag" | "pinned"; readonly word: string };

const words = ["id", "name", "tag", "pinned"] as const;

/** @returns what is left of the words, too. @throws UsageError */
export function parseSelection(given: readonly string[]): { selection: Selection; rest: readonly string[] } {
  const [first = "", second, ...rest] = given;
  const by = words.find((word) => word === first);
  // A name alone may be one of the words, but for what follows.
  if (by === undefined) return { selection: { by: "name", word: first }, rest: given.slice(1) };
  if (second === undefined) throw new UsageError(`${first} needs a value`, { remedy: "as in `id 12` or `name flows`" });
  if (by !== "id") return { selection: { by, word: second }, rest };
  if (!/^\d+$/.test(second)) throw new UsageError(`can't parse ${JSON.stringify(second)} as ID`);
  return { selection: { by, id: Number(second) }, rest };
}

/** An id or a pin is meant whoever's it is, a name only among what is in scope. */
export const reachesAll = (selection: Selection): boolean => selection.by === "id" || selection.by === "pinned";

/**
 * Those that are meant. A name of xgw's goes before the kernel's, which has 15 bytes of it.
 *
 * @param name xgw's, in `xgw`
 * @throws XgwError when there is none
 */
export function select(
  all: readonly Shown[],
  selection: Selection,
  name: "program" | "map" | "attachment",
): readonly Shown[] {
  const found = matching(all, selection, name);
  if (found.length > 0) return found;
  const what = selection.by === "id" ? `id ${selection.id}` : `${selection.by} ${selection.word}`;
  throw new XgwError(`there is no ${name} with ${what} here`, {
    remedy: reachesAll(selection)
      ? "list what there is: xgw prog|map|link show --all"
      : "--all looks at what is not xgw's, too",
  });
}

function matching(all: readonly Shown[], selection: Selection, name: string): readonly Shown[] {
  switch (selection.by) {
    case "id":
      return all.filter(({ id }) => id === selection.id);
    case "tag":
      return all.filter(({ tag }) => tag === selection.word);
    case "pinned":
      return all.filter(({ xgw, pinned = [] }) => [xgw?.pin, ...(pinned as string[])].includes(selection.word));
    case "name": {
      const own = all.filter(({ xgw }) => xgw?.[name] === selection.word);
      return own.length > 0 ? own : all.filter((one) => one.name === selection.word);
    }
  }
}
