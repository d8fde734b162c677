// npm run test:changes: XDP follows an answer only while the kernel would still give it.
import "./path.js";
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keptSeeds } from "./changes/kept.js";
import { runSeed, type SeedOptions, type SeedResult } from "./changes/run.js";
import { type ChangesReport, summarize } from "./changes/summary.js";
import { type ChangesArgs, changesUsage, parseChangesArgs } from "./changes-args.js";
import { runProgram } from "./elsewhere.js";
import { prepareHost } from "./lab/own-namespace.js";

const timeoutMs = 150 * 60_000;
const say = (line: string) => void process.stdout.write(`${line}\n`);

function seedsOf({ seed, seeds, changes, kept }: ChangesArgs): SeedOptions[] {
  const share = (index: number) => Math.floor(changes / seeds) + (index < changes % seeds ? 1 : 0);
  const drawn = Array.from({ length: seeds }, (_, index) => ({ seed: seed + index, changes: share(index) }));
  return [...(kept ? keptSeeds : []), ...drawn];
}

async function runHere(args: ChangesArgs): Promise<ChangesReport> {
  const folder = await mkdtemp(join(tmpdir(), "xgw-changes-"));
  const [seeds, errors]: [SeedResult[], string[]] = [[], []];
  try {
    await prepareHost();
    for (const options of seedsOf(args)) {
      try {
        const result = await runSeed(options, folder);
        seeds.push(result);
        tell(result);
      } catch (error) {
        errors.push(`seed ${options.seed}: ${(error as Error).message}`);
        say((error as Error).stack ?? String(error));
      }
    }
    return { kernel: release(), seeds, errors };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function tell({ seed, changes, packets, arrived, byXdp, faults, seconds }: SeedResult): void {
  const sent = `${packets} packets, ${arrived} left, ${byXdp} of them by XDP`;
  say(`seed ${seed}: ${changes.length} changes, ${sent}, in ${seconds.toFixed(0)} s`);
  for (const { story, hasDaemon, rightAfterMs } of changes)
    say(
      `  ${rightAfterMs === undefined ? "never" : `${Math.round(rightAfterMs)} ms`}: ${story}${hasDaemon ? " (daemon)" : ""}`,
    );
  for (const fault of faults.slice(0, 6)) say(fault.replaceAll(/^/gm, "  "));
  if (faults.length > 6) say(`  … and ${faults.length - 6} more`);
}

await runProgram<ChangesArgs, ChangesReport>({
  name: "changes",
  file: fileURLToPath(import.meta.url),
  timeoutMs,
  usage: changesUsage,
  parse: parseChangesArgs,
  run: runHere,
  tell(report) {
    const { lines, faults } = summarize(report);
    for (const line of lines) say(line);
    return faults;
  },
});
