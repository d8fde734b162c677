/** iproute2, in batches: one call for all changes of a phase. */

import { crashPoint, crashWithin } from "../crash.js";
import type { Family } from "../plan/state.js";
import { run } from "./spawn.js";

/**
 * Runs `ip` commands in order, stopping at the first that fails; what went before it stays done.
 *
 * @param lines commands without the leading `ip`
 */
export async function batch(lines: readonly string[], family: Family = "ipv4"): Promise<void> {
  if (lines.length === 0) return;
  const done = crashWithin(lines);
  if (done !== 0)
    await run("ip", [...(family === "ipv6" ? ["-6"] : []), "-batch", "-"], {
      input: `${lines.slice(0, done).join("\n")}\n`,
    });
  if (done !== undefined) crashPoint("within a batch");
}
