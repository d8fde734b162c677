// npm run test:attack: nobody reaches whom the config does not let them, whatever they send.
import "./path.js";
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { breaks } from "./attack/breaks.js";
import { keptSeeds } from "./attack/kept.js";
import { runSite, type SeedOptions, type SeedResult, siteNumber, siteOf } from "./attack/run.js";
import { sideOf } from "./attack/site.js";
import { stateOf, states } from "./attack/states.js";
import { type AttackReport, summarize } from "./attack/summary.js";
import { type AttackArgs, attackUsage, parseAttackArgs } from "./attack-args.js";
import { runProgram } from "./elsewhere.js";
import { prepareHost } from "./lab/own-namespace.js";

const timeoutMs = 120 * 60_000;
const say = (line: string) => void process.stdout.write(`${line}\n`);

function seedsOf({ seed, seeds, packets, state, only, broken, kept }: AttackArgs): SeedOptions[] {
  const share = (index: number) => Math.floor(packets / seeds) + (index < packets % seeds ? 1 : 0);
  const drawn = Array.from({ length: seeds }, (_, index) => ({
    seed: seed + index,
    packets: share(index),
    state: state ?? stateOf(seed + index),
    only,
  }));
  const ofBroken = broken.map((name) => ({
    seed: seedToBreak(seed + seeds - 1),
    packets: breaks.find((one) => one.name === name)?.packets ?? 0,
    state: "detached" as const,
    broken: name,
  }));
  return [...(kept ? keptSeeds : []), ...drawn, ...ofBroken];
}

/** The last one, in a site that is there already, of which the site has all sides: what is broken may be at any. */
function seedToBreak(last: number): number {
  for (let back = 0; ; back++) {
    const seed = last - back >= 0 ? last - back : last + back;
    if (sideOf(siteNumber(siteOf(seed)), "uplink")) return seed;
  }
}

const counts = (of: Readonly<Record<string, number>>) =>
  Object.entries(of)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

function tell(result: SeedResult): void {
  const { seed, state, broken, site, packets, seconds, fates, honest, flood, violations, changes } = result;
  if (broken !== undefined) {
    say(`broken on purpose: ${broken}: ${violations.length} violations in ${packets} packets`);
    return;
  }
  say(`seed ${seed}, ${state} (${site}): ${packets} packets in ${seconds.toFixed(1)} s`);
  const more = [
    ...(honest.ended > 0 ? [`${honest.ended} ended by their own tenant`] : []),
    ...(changes > 0 ? [`${changes} changes`] : []),
    ...(flood ? [`a flood of ${flood}`] : []),
  ];
  say(`  ${[counts(fates), `honest ${honest.arrived} of ${honest.sent}`, ...more].join("; ")}`);
  for (const { text } of violations.slice(0, 4)) say(text.replaceAll(/^/gm, "  "));
  if (violations.length > 4) say(`  … and ${violations.length - 4} more violations`);
}

/** In this process's network namespace, which is to be empty. */
async function runHere(args: AttackArgs): Promise<AttackReport> {
  const folder = await mkdtemp(join(tmpdir(), "xgw-attack-"));
  const seeds: SeedResult[] = [];
  const errors: string[] = [];
  try {
    await prepareHost({ ipv6: true });
    const wanted = seedsOf(args);
    for (const site of new Set(wanted.map(({ seed }) => siteOf(seed)))) {
      const ofSite = wanted.filter(({ seed }) => siteOf(seed) === site);
      const run = runSite(site, ofSite, folder, (result) => {
        seeds.push(result);
        tell(result);
      });
      await run.catch((error: Error) => {
        errors.push(`site ${site}: ${error.message}`);
        say(error.stack ?? error.message);
      });
    }
    return { kernel: release(), seeds, errors };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function list(): void {
  say("States of the gateway:");
  for (const { name, what } of states) say(`  ${name}: ${what}`);
  say("Ways to break it:");
  for (const { name, what } of breaks) say(`  ${name}: ${what}`);
}

await runProgram<AttackArgs, AttackReport>({
  name: "attack",
  file: fileURLToPath(import.meta.url),
  timeoutMs,
  usage: attackUsage,
  parse: parseAttackArgs,
  answer(args) {
    if (args.list) list();
    return args.list;
  },
  run: runHere,
  tell(report) {
    const { lines, faults } = summarize(report);
    for (const line of lines) say(line);
    return faults;
  },
});
