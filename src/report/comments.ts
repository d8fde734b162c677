/** A config's text without its comments, line by line as it was: a comment may say anything of anybody. */

import { Lexer } from "yaml";

/** What the lexer puts before a text of several lines. */
const scalarFollows = "\u001f";
const marks = new Set(["\u0002", "\u0018", scalarFollows]);

export function withoutComments(text: string): string {
  const kept: string[] = [];
  let last = "";
  for (const lexeme of new Lexer().lex(text)) {
    if (!marks.has(lexeme) && (last === scalarFollows || !lexeme.startsWith("#"))) kept.push(lexeme);
    last = lexeme;
  }
  return kept.join("");
}
