/** Findings as text, for people at 80 columns and for monitoring. */

import type { Health } from "../doctor.js";
import { type ErrorCode, type ExitCode, exitCodes, toXgwError, XgwError } from "../errors.js";
import { countsText, type Finding, type FindingCounts } from "../finding.js";

const width = 80;
const indent = "  ";

export function healthLines({ instance, counts, findings }: Health): string[] {
  return [`${instance}: ${countsText(counts)}`, ...findings.flatMap((finding) => ["", ...findingLines(finding)])];
}

function findingLines({ id, severity, what, why, evidence, remedy }: Finding): string[] {
  const [command = "", ...comment] = remedy.split(" # ");
  return [
    `${severity}: ${id}`,
    ...wrapped(`${what}:`, indent),
    ...wrapped(why, indent),
    ...evidence.split("; ").map((line) => `${indent}see: ${line}`),
    `${indent}fix: ${command}`,
    ...(comment.length > 0 ? wrapped(comment.join(" # "), `${indent}   # `) : []),
  ];
}

/** Lines of whole words, each begun like that. A word that is too long stands alone. */
function wrapped(text: string, begin: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(begin + word);
  }
  return lines;
}

/** Of `doctor` and of `status --check`, as monitoring plugins end. What cannot be told ends with 3. */
export function checkExitCode({ critical, warning }: FindingCounts): ExitCode {
  if (critical > 0) return exitCodes.usage;
  return warning > 0 ? exitCodes.failed : exitCodes.done;
}

/** One line: the state, as monitoring names it, and the worst of what was found. */
export function checkLine({ instance, counts, findings }: Health): string {
  const state = counts.critical > 0 ? "CRITICAL" : counts.warning > 0 ? "WARNING" : "OK";
  const [worst] = findings;
  const told = worst && worst.severity !== "note" ? `: ${worst.what} (xgw doctor)` : "";
  return `${state} ${instance}: ${countsText(counts)}${told}`;
}

/** An error that says nothing of how the gateway is. */
class CannotTell extends XgwError {
  override readonly code: ErrorCode;
  override readonly exitCode = exitCodes.unsupported;

  constructor(cause: XgwError) {
    const { message, remedy, details, code } = cause;
    super(message, { cause, details, ...(remedy === undefined ? {} : { remedy }) });
    this.code = code;
  }
}

/** A config that is refused is as bad as what is critical, and ends with the same code. */
export function asCannotTell(thrown: unknown): never {
  const error = toXgwError(thrown);
  throw error.exitCode === exitCodes.usage ? error : new CannotTell(error);
}
