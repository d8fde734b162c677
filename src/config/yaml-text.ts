/** From a text to a YAML document, with bounds on its nesting and on what it is made of. */

import { Composer, CST, type Document, Lexer, LineCounter, Parser } from "yaml";

/** Deeper than this is no config: a policy's port, the deepest thing there is, lies eight levels down. */
export const maxLevels = 100;

/**
 * Words, marks and spaces. The parser makes some 250 bytes of each, and takes some microseconds for it: this many want 3 GB. A
 * config of 8,191 tenants with 20 rules each has 7.4 million.
 */
export const maxLexemes = 12_000_000;

/** The text is nested deeper than any config. */
export class TooDeepError extends Error {
  constructor() {
    super(`nested deeper than ${maxLevels} levels`);
    this.name = "TooDeepError";
  }
}

/** The text has more words and marks than the parser has memory for. */
export class TooLongError extends Error {
  constructor() {
    super(`longer than ${maxLexemes / 1_000_000} million words and marks`);
  }
}

export interface ParsedText {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  /** Offset where a second document begins, if there is one. */
  readonly secondDocument: number | undefined;
}

/**
 * Parses the first YAML document of a text. Faults are in its `errors` and `warnings`, but for keys that a map has twice: the
 * parser would compare each with all before it.
 *
 * @throws TooDeepError, TooLongError
 */
export function parseText(text: string, most = maxLexemes): ParsedText {
  const lines = new LineCounter();
  const composer = new Composer({
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: false,
    merge: true,
    logLevel: "error",
  });
  let document: Document.Parsed | undefined;
  for (const composed of composer.compose(tokens(text, lines, most), true, text.length)) {
    if (document) return { document, lines, secondDocument: composed.range[0] };
    document = composed as Document.Parsed;
  }
  return { document: document as Document.Parsed, lines, secondDocument: undefined };
}

/**
 * The parser's tokens, as long as the text is not nested too deeply. Composing them recurses, and near the end of the
 * stack even a regular expression kills the process instead of throwing; so the bound is kept here, where only open
 * brackets, list marks in one line and indentation are to be counted.
 */
function* tokens(text: string, lines: LineCounter, most: number): Generator<CST.Token, void> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  let brackets = 0;
  let marks = 0;
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (++lexemes > most) throw new TooLongError();
    switch (CST.tokenType(lexeme)) {
      case "flow-seq-start":
      case "flow-map-start":
        brackets++;
        break;
      case "flow-seq-end":
      case "flow-map-end":
        brackets--;
        break;
      case "seq-item-ind":
      case "explicit-key-ind":
        marks++;
        break;
      case "newline":
        marks = 0;
        break;
      case "space":
        // Only indentation is ever that wide, and a level takes two columns at least as people write them.
        if (lexeme.length > 2 * maxLevels) throw new TooDeepError();
        break;
    }
    if (brackets > maxLevels || marks > maxLevels) throw new TooDeepError();
    yield* parser.next(lexeme);
  }
  yield* parser.end();
}
