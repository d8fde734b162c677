// npm run test:walk -- --seed S --edits N: a config that changes at random, with failures in the way. After each edit the
// kernel must be what the config says; after a failure, what it was before.
import "./path.js";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { canRunHere } from "./anywhere.js";
import { failAt, makeFailingTools, tools } from "./lab/failing-tool.js";
import { Namespace, tryRun } from "./lab/netns.js";
import { edit, emptyConfig, number, pick, type Random, type RandomConfig, randomFrom } from "./lab/random-config.js";
import { Workers } from "./lab/workers.js";
import { built } from "./root.js";

export interface WalkReport {
  readonly edits: number;
  /** Edits that were put in force without a look at the tenants that they do not change. */
  readonly quick: number;
  /** What was in the way, and how often. */
  readonly failures: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

type Trouble = (walk: Walk) => Promise<string>;

class Walk {
  readonly faults: string[] = [];
  readonly failures: Record<string, number> = {};
  quick = 0;
  config: RandomConfig = emptyConfig();
  /** Which the kernel has. */
  old: RandomConfig = emptyConfig();

  constructor(
    readonly folder: string,
    readonly gateway: Namespace,
    readonly workers: Workers,
    readonly random: Random,
    /** Of its own, so that a seed goes on leading to the same edits and failures. */
    private readonly randomWay: Random,
  ) {}

  private async fileOf(config: RandomConfig): Promise<string> {
    const configFile = join(this.folder, "xgw.yaml");
    await writeFile(configFile, JSON.stringify(config));
    return configFile;
  }

  /** As a command does, or as the daemon does when a file has changed. */
  private way(): "apply" | "change" {
    return pick(["apply", "change"] as const, this.randomWay);
  }

  async apply(way: "apply" | "change" = "apply"): Promise<readonly string[]> {
    const done = await this.workers.carryOut({ do: way, configFile: await this.fileOf(this.config) });
    if (done === "killed") throw new Error("killed where it should not be");
    if (done.isQuick && done.steps.length > 0) this.quick++;
    return done.steps;
  }

  applyAnyWay(): Promise<readonly string[]> {
    return this.apply(this.way());
  }

  /** Dies at one of its first points; or does all. */
  async applyAndDie(): Promise<boolean> {
    const crashAt = number(this.random, 0, 60);
    const configFile = await this.fileOf(this.config);
    return (await this.workers.carryOut({ do: this.way(), configFile, crashAt })) === "killed";
  }

  async applyAndFail(): Promise<string | undefined> {
    try {
      await this.apply();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** What a plan would still do for a config. */
  async left(config: RandomConfig): Promise<string> {
    const done = await this.workers.carryOut({ do: "plan", configFile: await this.fileOf(config) });
    return done === "killed" ? "killed" : done.steps.join("; ");
  }
}

/** Nothing may have changed, or what has must have been taken back. */
async function mustBeAsBefore(walk: Walk, what: string, error: string | undefined): Promise<string> {
  if (error === undefined) return `${what}: nothing failed`;
  const left = await walk.left(walk.old);
  if (left !== "") walk.faults.push(`${what} (${error}): not as before: ${left}`);
  return what;
}

const troubles: readonly Trouble[] = [
  async (walk) => {
    const known = new Set(walk.old.tenants.map(({ key }) => key));
    const added = walk.config.tenants.find(({ key }) => !known.has(key));
    if (!added) return "";
    await walk.gateway.ip(`link add xgre${added.key} type dummy`);
    const error = await walk.applyAndFail();
    if (!error?.includes("belongs to somebody else")) walk.faults.push(`a foreign device was not refused: ${error}`);
    const told = await mustBeAsBefore(walk, "a foreign device", error);
    await walk.gateway.ip(`link del xgre${added.key}`);
    return told;
  },
  async (walk) => {
    const tool = pick(tools, walk.random);
    await failAt(walk.folder, tool, number(walk.random, 1, 4));
    const error = await walk.applyAndFail();
    await failAt(walk.folder, tool, 0);
    return mustBeAsBefore(walk, `${tool} fails`, error);
  },
  async (walk) => ((await walk.applyAndDie()) ? "killed" : "killed too late"),
];

/** How often something is in the way. */
const troubleShare = 0.5;

export async function walkLab(seed: number, edits: number, say: (line: string) => void): Promise<WalkReport> {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  const folder = await mkdtemp(join(tmpdir(), "xgw-walk-"));
  const gateway = await Namespace.create(`xgw${process.pid}-walk`);
  await makeFailingTools(folder);
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  const workers = new Workers(gateway, built("lab/worker.js"), env);
  const walk = new Walk(folder, gateway, workers, randomFrom(seed), randomFrom(~seed));
  try {
    await gateway.ip("link add eth0 type veth peer name wire", "addr add 172.168.0.1/24 dev eth0");
    await gateway.ip("link set eth0 up", "link set wire up");
    for (let n = 1; n <= edits; n++) await step(walk, n, say);
    walk.config = emptyConfig();
    await walk.workers.carryOut({ do: "teardown", configFile: join(folder, "xgw.yaml") });
  } finally {
    await workers.stop();
    await gateway.delete();
    await rm(folder, { recursive: true });
  }
  return { edits, quick: walk.quick, failures: walk.failures, faults: walk.faults };
}

async function step(walk: Walk, n: number, say: (line: string) => void): Promise<void> {
  walk.old = structuredClone(walk.config);
  const what = edit(walk.config, walk.random);
  const before = walk.faults.length;
  let told = "";
  try {
    if (n > 1 && walk.random() < troubleShare) told = await pick(troubles, walk.random)(walk);
    if (told !== "") walk.failures[told] = (walk.failures[told] ?? 0) + 1;
    const steps = await walk.applyAnyWay();
    const left = await walk.left(walk.config);
    if (left !== "") walk.faults.push(`observed is not desired: ${left}`);
    say(`${n}. ${what}${told === "" ? "" : ` [${told}]`}: ${steps.length} steps`);
  } catch (error) {
    walk.faults.push((error as Error).message);
  }
  for (const [at, fault] of walk.faults.entries())
    if (at >= before) {
      walk.faults[at] = `${n}. ${what}${told === "" ? "" : ` [${told}]`}: ${fault}`;
      say(`FAULT ${walk.faults[at]}`);
    }
}

const timeoutMs = 120 * 60_000;

async function main(argv: readonly string[]): Promise<void> {
  const options = {
    seed: { type: "string", default: "1" },
    edits: { type: "string", default: "500" },
    report: { type: "string" },
  } as const;
  const { seed, edits, report: file } = parseArgs({ args: [...argv], options }).values;
  if (!(await canRunHere(fileURLToPath(import.meta.url), argv, timeoutMs))) return;
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const started = performance.now();
  const report = await walkLab(Number(seed), Number(edits), say);
  say(
    `${report.edits} edits, ${report.quick} quickly, ${JSON.stringify(report.failures)}; ${report.faults.length} faults`,
  );
  say(`in ${Math.round((performance.now() - started) / 1000)} s`);
  if (file !== undefined) await writeFile(file, JSON.stringify(report));
  process.exitCode = report.faults.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
