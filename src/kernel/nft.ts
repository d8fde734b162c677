/** The nft command line: scripts, each of which is one transaction. What there is is read in ./nftables.ts. */

import { crashPoint } from "../crash.js";
import { run } from "./spawn.js";

/** Runs a script as one transaction: all of it or nothing. */
export async function applyScript(script: string): Promise<void> {
  if (script === "") return;
  await run("nft", ["-f", "-"], { input: script });
  crashPoint("nft transaction");
}
