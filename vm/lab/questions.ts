/** Commands with their output, as a document shows them, and whether a real output is of the same shape. */

export interface Shown {
  /** Words of the command line. */
  readonly command: readonly string[];
  /** Lines that the output has, in this order; others may stand between. */
  readonly lines: readonly string[];
}

/** Blocks of the section that begin with a command of xgw's, `# xgw …`. */
export function commandsShown(document: string, heading: string): Shown[] {
  const from = document.indexOf(`\n## ${heading}\n`);
  if (from < 0) throw new Error(`there is no section "${heading}"`);
  const end = document.indexOf("\n## ", from + 1);
  const section = document.slice(from, end < 0 ? undefined : end);
  return [...section.matchAll(/^```\n# xgw (.*)\n((?:.*\n)*?)```$/gm)].map(([, command = "", output = ""]) => ({
    command: command.split(" "),
    lines: output.split("\n").filter((line) => line.trim() !== "" && line !== "…"),
  }));
}

const address = String.raw`\d+\.\d+\.\d+\.\d+(?:[:/]\d+)?`;
const amount = String.raw`\d[\d.,:TZ-]*(?: ?(?:ns|µs|ms|s|min|h|d|[kMGT]?i?B|[kMG]?bit/s|%)(?![\w/]))?`;
/** An amount, or several as in `1 min 40 s`: what differs from one time to the next. */
const amounts = new RegExp(String.raw`(${address})|(?<![\w.])${amount}(?: ${amount})*`, "g");

/** A line without its amounts; addresses and ports stay, spaces are one. */
const shapeOf = (line: string): string =>
  line
    .replaceAll(amounts, (_, kept: string | undefined) => kept ?? "#")
    .replaceAll(/\s+/g, " ")
    .trim();

/** The first line of those shown that the output does not have behind those before it; undefined if it has all. */
export function firstMissing(shown: readonly string[], output: string): string | undefined {
  const shapes = output.split("\n").map(shapeOf);
  let at = 0;
  return shown.find((line) => {
    const found = shapes.indexOf(shapeOf(line), at);
    at = found + 1;
    return found < 0;
  });
}
