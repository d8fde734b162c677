import { expect, it } from "vitest";
import { PrefixLines } from "../../../vm/prefix-lines.js";

function written(...pieces: string[]): string {
  let text = "";
  const lines = new PrefixLines("vm | ", (more) => {
    text += more;
  });
  for (const piece of pieces) lines.add(piece);
  lines.end();
  return text;
}

it("puts the prefix before each line, however the stream is cut", () => {
  expect(written("one\ntw", "o\n", "\nfour\n")).toBe("vm | one\nvm | two\nvm | \nvm | four\n");
});

it("ends a last line that has no end", () => {
  expect(written("one\ntwo")).toBe("vm | one\nvm | two\n");
});
