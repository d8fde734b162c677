// npm run test:differential: what XDP sends is what the kernel would have sent.
import "./path.js";
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exceptions, ignoredFields } from "./differential/compare.js";
import { keptSeeds } from "./differential/kept.js";
import { runSite, type SeedOptions, type SeedResult, siteOf } from "./differential/run.js";
import { runTenants, type TenantsResult } from "./differential/tenants.js";
import { type DifferentialArgs, differentialUsage, parseDifferentialArgs } from "./differential-args.js";
import { runProgram } from "./elsewhere.js";
import { mutations } from "./frames/mutations.js";
import { prepareHost } from "./lab/own-namespace.js";
import { UsageError } from "./usage.js";

export interface DifferentialReport {
  readonly kernel: string;
  readonly seeds: readonly SeedResult[];
  readonly tenants?: TenantsResult;
}

const timeoutMs = 60 * 60_000;
const say = (line: string) => void process.stdout.write(`${line}\n`);

function seedsOf({ seed, seeds, packets, only, kept, explain }: DifferentialArgs): SeedOptions[] {
  const share = (index: number) => Math.floor(packets / seeds) + (index < packets % seeds ? 1 : 0);
  const drawn = Array.from({ length: seeds }, (_, index) => ({ seed: seed + index, packets: share(index), only }));
  return [...(kept ? keptSeeds : []), ...drawn].map((options) => ({ ...options, explain }));
}

const counts = (of: Record<string, number>) =>
  Object.entries(of)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

/** In this process's network namespace, which is to be empty. */
async function runHere(args: DifferentialArgs): Promise<DifferentialReport> {
  const folder = await mkdtemp(join(tmpdir(), "xgw-differential-"));
  const seeds: SeedResult[] = [];
  try {
    await prepareHost();
    if (args.tenants !== undefined)
      return { kernel: release(), seeds: [], tenants: await runTenants(args.tenants, folder) };
    const wanted = seedsOf(args);
    for (const site of new Set(wanted.map(({ seed }) => siteOf(seed)))) {
      const ofSite = wanted.filter(({ seed }) => siteOf(seed) === site);
      for (const result of await runSite(site, ofSite, folder)) {
        seeds.push(result);
        say(`seed ${result.seed} (${result.site}): ${result.packets} packets in ${result.seconds.toFixed(1)} s`);
        say(`  compared: ${counts(result.judged)}`);
        say(`  XDP: ${counts(result.reasons)}`);
        for (const text of result.mismatches.slice(0, 5)) say(text.replaceAll(/^/gm, "  "));
        if (result.mismatches.length > 5) say(`  … and ${result.mismatches.length - 5} more mismatches`);
      }
    }
    return { kernel: release(), seeds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function list(): void {
  say("What may be done to a packet:");
  for (const { name, of } of mutations) say(`  ${name}${of === undefined ? "" : ` (${of})`}`);
  say("Fields that are not compared:");
  for (const { name, why } of ignoredFields) say(`  ${name}: ${why}`);
  say("Differences that are meant to be:");
  for (const { name, why } of exceptions) say(`  ${name}: ${why}`);
}

function summarizeTenants(result: TenantsResult, kernel: string): string[] {
  const { tenants, sent, right, forwarded, insertFailed, wrong, seconds } = result;
  for (const line of wrong) say(line);
  say(
    `${tenants} tenants with one tuple on ${kernel}: ${right} of ${sent} packets left under their own key ` +
      `(${forwarded} sent by XDP), insert_failed ${insertFailed}, ${seconds.toFixed(0)} s`,
  );
  return failedTenants(result) ? ["not every packet left under its own key, by XDP"] : [];
}

/** Also when XDP carried less than the packets after those that teach the flows. */
const failedTenants = ({ tenants, sent, right, forwarded, insertFailed }: TenantsResult) =>
  right < sent || insertFailed > 0 || forwarded < tenants * 4;

/** Of everything compared: packets, those that XDP sent, mismatches. */
function summarize({ kernel, seeds }: DifferentialReport): string[] {
  const sum = (of: (result: SeedResult) => number) => seeds.reduce((total, result) => total + of(result), 0);
  const mismatches = sum((result) => result.mismatches.length);
  const explained = sum((result) => result.explained ?? 0);
  const failed = seeds.filter((result) => result.mismatches.length > 0).map(({ seed }) => seed);
  say(
    `${sum(({ packets }) => packets)} packets over ${seeds.length} seeds on ${kernel}: ` +
      `${sum(({ reasons }) => reasons.forwarded ?? 0)} sent by XDP, ` +
      (explained > 0 ? `${explained} explained before, ` : "") +
      `${mismatches} mismatches` +
      (failed.length > 0 ? ` (seeds ${failed.join(", ")})` : ""),
  );
  return mismatches === 0 ? [] : [`${mismatches} mismatches`];
}

await runProgram<DifferentialArgs, DifferentialReport>({
  name: "differential",
  file: fileURLToPath(import.meta.url),
  timeoutMs,
  usage: differentialUsage,
  parse: parseDifferentialArgs,
  answer(args) {
    if (args.list) list();
    const unknown = args.only?.find((name) => !mutations.some((mutation) => mutation.name === name));
    if (unknown !== undefined) throw new UsageError(`nothing called "${unknown}" is done to packets: see --list`);
    return args.list;
  },
  run: runHere,
  tell: (report) => (report.tenants ? summarizeTenants(report.tenants, report.kernel) : summarize(report)),
});
