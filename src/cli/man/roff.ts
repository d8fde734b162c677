/** Text as man(7) wants it: nothing of it is taken for a request, and each sentence begins a line. */

const escapes: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

const escaped = (text: string): string => text.replaceAll(/[\\\-'`^~]/g, (character) => escapes[character] ?? "");

export const bold = (text: string): string => `\\fB${escaped(text)}\\fR`;
export const italic = (text: string): string => `\\fI${escaped(text)}\\fR`;
export const plain = (text: string): string => escaped(text);

/** Characters of a line of the source. */
const width = 78;

/** A paragraph; what stands in backticks is bold. */
export const prose = (text: string): string[] =>
  text.split(/(?<=[.:;]) (?=[A-Z])/).flatMap((sentence) =>
    folded(
      sentence
        .split("`")
        .map((part, at) => (at % 2 ? bold(part) : plain(part)))
        .join(""),
    ),
  );

/** At spaces; a line cannot begin as a request does. */
export function folded(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => (/^[.']/.test(line) ? `\\&${line}` : line));
}

/** A term, and below it what it means. */
export const term = (name: string, meaning: string): string[] => [".TP", name, ...prose(meaning)];
