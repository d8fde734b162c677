import { CST, Lexer } from "yaml";

/** Deeper than this is no config: a policy's port, the deepest thing there is, lies eight levels down. */
const maxLevels = 100;

/**
 * Whether a YAML text is nested so deeply that composing it, which recurses, could exhaust the stack. Near its end, even
 * a regular expression kills the process instead of throwing. So this looks at the tokens only: open brackets, list
 * marks in one line, and indentation each bound what they can nest.
 */
export function isTooDeep(text: string): boolean {
  let brackets = 0;
  let marks = 0;
  for (const token of new Lexer().lex(text)) {
    switch (CST.tokenType(token)) {
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
        // Only indentation is ever that wide.
        if (token.length > 2 * maxLevels) return true;
        break;
    }
    if (brackets > maxLevels || marks > maxLevels) return true;
  }
  return false;
}
