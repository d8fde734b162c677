/** iproute2, in batches: one call for all changes of a phase. */

import { crashPoint, crashWithin } from "../crash.js";
import { XgwError } from "../errors.js";
import type { Family } from "../plan/state.js";
import { runScript, somethingElse } from "./script.js";

/**
 * Runs `ip` commands in order, stopping at the first that fails; what went before it stays done.
 *
 * @param lines commands without the leading `ip`
 */
export async function batch(lines: readonly string[], family: Family = "ipv4"): Promise<void> {
  if (lines.length === 0) return;
  const done = crashWithin(lines);
  const args = [...(family === "ipv6" ? ["-6"] : []), "-batch", "-"];
  if (done !== 0)
    await runScript("ip", args, `${lines.slice(0, done).join("\n")}\n`, (said) => batchError(said, lines));
  if (done !== undefined) crashPoint("within a batch");
}

/** @param said by iproute2, which ends with the number of the line */
export function batchError(said: string, lines: readonly string[]): XgwError {
  const [, why = said.trim(), number] = /^(.*?)\s*Command failed -:(\d+)\s*$/s.exec(said) ?? [];
  const line = lines[Number(number) - 1] ?? "-batch";
  return new XgwError(`ip ${line}: ${why.replace(/^(Error|RTNETLINK answers): /, "")}`, {
    remedy: somethingElse,
    details: { program: "ip", line },
  });
}
