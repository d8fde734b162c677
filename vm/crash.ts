// npm run test:crash: xgw is killed at every point of a change that has a bit of everything, of an upgrade to another layout
// and size of the maps, of the ways back, and of a teardown. The next run must end it, and the one after find nothing to do,
// while a tenant that nobody touches carries a stream. With --every N: each N-th point only; with --from M: beginning with
// that one, so that machines can share; with --only change, upgrade or teardown: that alone.
import "./path.js";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { canRunHere } from "./anywhere.js";
import { Host, type StreamResult } from "./lab/host.js";
import { addForeign, snapshot } from "./lab/snapshot.js";
import { buildTopology } from "./lab/topology.js";
import { Workers } from "./lab/workers.js";
import { built, repoRoot } from "./root.js";

const example = join(repoRoot, "examples", "two-tenants.yaml");

export interface CrashReport {
  readonly counts: readonly Counted[];
  /** What went wrong, each with the point. */
  readonly faults: readonly string[];
  /** Through the tenant that is not touched, while the others and the programs changed. */
  readonly stream: Pick<StreamResult, "sent" | "received">;
}

/** Points at which a kind of run was killed, of those that there are. */
interface Counted {
  readonly name: string;
  readonly killed: number;
  readonly points: number;
}

/** user1 changes in every way, one tenant goes and another comes; user2 stays as it is. */
const changes: readonly (readonly [from: string, to: string])[] = [
  [
    "      - { to: 10.0.0.7/32, via: 172.168.0.11 }\n",
    "      - { to: 10.0.0.7/32, via: 172.168.0.11 }\n      - { to: 10.9.0.0/24, via: 172.168.0.19 }\n",
  ],
  ["addresses: [1.1.1.11/24, 10.0.0.1/24]", "addresses: [1.1.1.13/24, 10.0.0.1/24]"],
  ["      - { address: 2.2.2.11, to: 10.0.0.7 }\n", "      - { address: 2.2.2.21, to: 10.0.0.7 }\n"],
  [
    "        - { allow: tcp, ports: [22] }\n",
    "        - { deny: tcp, ports: [22] }\n        - { allow: tcp, ports: [20-80] }\n",
  ],
  ["name: user1", "name: user1-renamed"],
  ["name: leaves\n    key: 3000\n    tunnel: gre", "name: comes\n    key: 4000\n    tunnel: gretap"],
  ["name: turns\n    key: 5000\n    tunnel: gre", "name: turns\n    key: 5000\n    tunnel: gretap"],
];

/** A small table, for all of it is gone through at each upgrade. */
const small = [["instance: gw1\n", "instance: gw1\nflows: 4096\n"]] as const;
/** What comes with the upgrade: the table has another size. */
const resized = [["flows: 4096\n", "flows: 8192\n"]] as const;

const others = ["leaves\n    key: 3000", "turns\n    key: 5000"]
  .map(
    (name) => `
  - name: ${name}
    tunnel: gre
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.7/32, via: 172.168.0.11 }]
`,
  )
  .join("");

interface Setting {
  /** Config files. */
  readonly before: string;
  readonly after: string;
  readonly larger: string;
  readonly older: Workers;
  readonly newer: Workers;
  readonly client: Host;
  readonly user2: Host;
  /** Of all points, each of this many, beginning with that one. */
  readonly every: number;
  readonly from: number;
  /** All of them when not given. */
  readonly only?: string | undefined;
  readonly say: (line: string) => void;
}

interface Direction {
  readonly name: string;
  readonly workers: Workers;
  readonly configFile: string;
}

/** Kills at point after point of one direction and of the other in turn, so that each begins where the other ended. */
async function killBothWays(
  way: Direction,
  back: Direction,
  { every, from, say }: Setting,
  faults: string[],
): Promise<Counted[]> {
  const directions = [
    { ...way, killed: 0, points: 0, at: from, isOver: false },
    { ...back, killed: 0, points: 0, at: (from + (every >> 1)) % every, isOver: false },
  ];
  for (let turn = 0; directions.some(({ isOver }) => !isOver); turn++) {
    const direction = directions[turn % 2] as (typeof directions)[number];
    const { name, workers, configFile } = direction;
    const crashAt = direction.isOver ? {} : { crashAt: direction.at };
    const result = await workers.carryOut({ do: "apply", configFile, ...crashAt }).catch((error: Error) => error);
    if (result instanceof Error) faults.push(`${name}: ${result.message}`);
    else if (result !== "killed") {
      direction.isOver = true;
      direction.points = Math.max(direction.points, result.points.length);
      continue;
    }
    direction.killed++;
    const where = `${name} killed at point ${direction.at}`;
    direction.at += every;
    await mustConverge(workers, configFile, where, faults, say);
  }
  return directions.map(({ name, killed, points }) => ({ name, killed, points }));
}

async function mustConverge(
  workers: Workers,
  configFile: string,
  where: string,
  faults: string[],
  say: (line: string) => void,
) {
  try {
    const next = await workers.carryOut({ do: "apply", configFile });
    const again = await workers.carryOut({ do: "apply", configFile });
    if (next === "killed" || again === "killed") throw new Error("killed where it should not be");
    say(`${where}: the next run did ${next.steps.length} steps`);
    if (again.steps.length > 0) faults.push(`${where}: the run after the next did ${again.steps.join("; ")}`);
  } catch (error) {
    faults.push(`${where}: ${(error as Error).message}`);
    say(`${where}: ${(error as Error).message}`);
  }
}

/** Killed while it removes everything; then one run ends that, or one run of apply builds everything up again. */
async function killTeardown({ before, older, every, from, say }: Setting, faults: string[]): Promise<Counted> {
  for (let at = from, killed = 0; ; at += every, killed++) {
    await older.carryOut({ do: "apply", configFile: before });
    const result = await older.carryOut({ do: "teardown", configFile: before, crashAt: at });
    if (result !== "killed") return { name: "teardown", killed, points: result.points.length };
    const where = `teardown killed at point ${at}`;
    if (killed % 2 === 0) await mustConverge(older, before, where, faults, say);
    else {
      await older.carryOut({ do: "teardown", configFile: before });
      const again = await older.carryOut({ do: "teardown", configFile: before });
      if (again !== "killed" && again.steps.length > 0) faults.push(`${where}: left ${again.steps.join(", ")}`);
    }
  }
}

/** Every tenth of a second some packets, until they are stopped. */
const forEver = { count: 10_000_000, intervalMs: 10, bytes: 200 };

async function killAll(setting: Setting): Promise<CrashReport> {
  const faults: string[] = [];
  const { client, user2, older, newer, before, after, larger } = setting;
  await older.carryOut({ do: "apply", configFile: before });
  await user2.serveUdp(5000);
  await client.streamUdp({ host: "2.2.2.12", port: 5000, localPort: 42_000, ...forEver, count: 10 });
  const streaming = client.streamUdp({ host: "2.2.2.12", port: 5000, localPort: 42_000, ...forEver });
  const change = { name: "change", workers: older, configFile: after };
  const changeBack = { name: "change back", workers: older, configFile: before };
  const upgrade = { name: "upgrade", workers: newer, configFile: larger };
  const downgrade = { name: "downgrade", workers: older, configFile: before };
  const wants = (name: string) => setting.only === undefined || setting.only === name;
  const counts: Counted[] = [];
  if (wants("change")) counts.push(...(await killBothWays(change, changeBack, setting, faults)));
  await older.carryOut({ do: "apply", configFile: before });
  if (wants("upgrade")) counts.push(...(await killBothWays(upgrade, downgrade, setting, faults)));
  client.stopStream();
  const { sent, received } = await streaming;
  if (received !== sent) faults.push(`${sent - received} of ${sent} packets through user2 were lost`);
  if (wants("teardown")) counts.push(await killTeardown(setting, faults));
  else await older.carryOut({ do: "teardown", configFile: before });
  return { counts, faults, stream: { sent, received } };
}

export async function crashLab(
  choice: Pick<Setting, "every" | "from" | "only">,
  say: (line: string) => void,
): Promise<CrashReport> {
  const folder = await mkdtemp(join(tmpdir(), "xgw-crash-"));
  const topology = await buildTopology(`xgw${process.pid}`, { tunnels: ["gretap", "gretap"] });
  const started: { stop(): Promise<void> }[] = [];
  try {
    const [before, after, larger] = [
      join(folder, "before.yaml"),
      join(folder, "after.yaml"),
      join(folder, "larger.yaml"),
    ];
    const text = changed(await readFile(example, "utf8"), small) + others;
    await writeFile(before, text);
    await writeFile(after, changed(text, changes));
    await writeFile(larger, changed(text, resized));
    const { gateway } = topology.hosts;
    await addForeign(gateway);
    const untouched = await snapshot(gateway);
    const older = new Workers(gateway, built("lab/worker.js"));
    const newer = new Workers(gateway, built("other/lab/worker.js"));
    const [client, user2] = [new Host(topology.hosts.client), new Host(topology.hosts.user2)];
    started.push(older, newer, client, user2);
    const report = await killAll({ before, after, larger, older, newer, client, user2, ...choice, say });
    const left = await snapshot(gateway);
    return left === untouched ? report : { ...report, faults: [...report.faults, "teardown left something"] };
  } finally {
    for (const each of started) await each.stop();
    await topology.destroy();
    await rm(folder, { recursive: true });
  }
}

function changed(text: string, changes: readonly (readonly [from: string, to: string])[]): string {
  return changes.reduce((whole, [from, to]) => {
    if (!whole.includes(from)) throw new Error(`the config does not have ${JSON.stringify(from)}`);
    return whole.replace(from, to);
  }, text);
}

const timeoutMs = 120 * 60_000;

async function main(argv: readonly string[]): Promise<void> {
  const options = {
    every: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    only: { type: "string" },
    report: { type: "string" },
  } as const;
  const { every, from, only, report: file } = parseArgs({ args: [...argv], options }).values;
  if (!(await canRunHere(fileURLToPath(import.meta.url), argv, timeoutMs))) return;
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const started = performance.now();
  const report = await crashLab({ every: Number(every), from: Number(from), only }, say);
  for (const fault of report.faults) say(`FAULT ${fault}`);
  for (const { name, killed, points } of report.counts) say(`${name}: killed at ${killed} of ${points} points`);
  say(`stream: ${report.stream.received} of ${report.stream.sent} packets; ${report.faults.length} faults`);
  say(`in ${Math.round((performance.now() - started) / 1000)} s`);
  if (file !== undefined) await writeFile(file, JSON.stringify(report));
  process.exitCode = report.faults.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
