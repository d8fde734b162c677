/** Compact JSON text, indented as bpftool does it: a member a line, the elements of a list side by side. */

/** @param depth of what is around it */
export function indentJson(json: string, depth = 0): string {
  const step = "    ";
  let text = "";
  let level = depth;
  const open: string[] = [];
  for (let at = 0; at < json.length; at++) {
    const char = json[at] as string;
    if (char === '"') {
      const end = endOfString(json, at);
      if (open.at(-1) === "{" && /[{,]/.test(json[at - 1] as string)) text += `\n${step.repeat(level)}`;
      text += json.slice(at, end);
      at = end - 1;
    } else if (char === "{" || char === "[") {
      open.push(char);
      level++;
      text += char;
    } else if (char === "}" || char === "]") {
      open.pop();
      level--;
      const isEmpty = json[at - 1] === "{" || json[at - 1] === "[";
      text += isEmpty ? char : `\n${step.repeat(level)}${char}`;
    } else text += char === ":" ? ": " : char;
  }
  return text;
}

function endOfString(json: string, from: number): number {
  for (let at = from + 1; ; at++) {
    if (json[at] === "\\") at++;
    else if (json[at] === '"') return at + 1;
  }
}
