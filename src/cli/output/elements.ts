/** Elements of a map as pieces of the output. */

import { indentJson } from "./indent.js";

/** A JSON list. */
export function* listPieces(elements: Iterable<string>, isIndented: boolean): Generator<string> {
  let isFirst = true;
  yield "[";
  for (const element of elements) {
    if (!isFirst) yield ",";
    yield isIndented ? indentJson(element, 1) : element;
    isFirst = false;
  }
  yield isFirst || !isIndented ? "]\n" : "\n]\n";
}

/** bpftool's text of maps whose types nobody knows: an element a line, and how many. */
export function* hexPieces(elements: Iterable<string>): Generator<string> {
  let count = 0;
  for (const element of elements) {
    yield `${element}\n`;
    count++;
  }
  yield `Found ${count} element${count === 1 ? "" : "s"}\n`;
}
