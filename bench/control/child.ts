// In a gateway's namespace: measures one thing in a process of its own, and prints it as a line of JSON.
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../../src/config/load.js";
import { apply, teardown } from "../../src/gateway.js";
import { type DaemonLog, Gateway } from "../../src/index.js";
import { routeTableBase } from "../../src/model/desired.js";
import { run } from "../../vm/lab/netns.js";
import { readyConfig, tenantRoute, tenantText } from "./config.js";
import type { Measured } from "./shape.js";

async function timed<T>(work: () => Promise<T>): Promise<[result: T, ms: number]> {
  const started = performance.now();
  const result = await work();
  return [result, performance.now() - started];
}

/** What every start does where all is right: reads the config, compares the kernel with it. */
async function measureStart(folder: string): Promise<Measured> {
  const { file } = readyConfig(folder);
  const [{ config }, loadMs] = await timed(() => loadConfig(file));
  const [{ steps }, noopApplyMs] = await timed(() => apply(config));
  if (steps.length > 0) throw new Error(`a start where all is right takes ${steps.length} steps`);
  return { loadMs, noopApplyMs, restartMs: loadMs + noopApplyMs };
}

/** How often the idle daemon is looked at: what a change has left to do is over in the last of them. */
const idleWindows = 3;

/** What is still done after a change is over. */
async function untilIdle(): Promise<void> {
  const deadline = performance.now() + idleAfterMs;
  for (let share = 0; share < idleShare && performance.now() < deadline; ) {
    const before = idleSeconds();
    await sleep(idleWindowMs);
    share = (1000 * (idleSeconds() - before)) / (idleWindowMs * cpus().length);
  }
}

/** Of all CPUs together. */
const idleSeconds = () => Number(readFileSync("/proc/uptime", "utf8").split(" ")[1]);

const idleShare = 0.9;
const idleWindowMs = 2000;
const idleAfterMs = 120_000;

/** Somebody deletes a route of a tenant: ids are given in the order of the config. */
async function loseRoute(index: number): Promise<void> {
  await run("ip", ["route", "del", tenantRoute, "table", String(routeTableBase + index + 1)]);
}

/** The daemon, in this process: puts the config in force, is given edits, and is left alone. */
async function measureDaemon(folder: string, tenants: number, changes: number, idleMs: number): Promise<Measured> {
  const { file, tenantFile } = readyConfig(folder);
  const gateway = new Gateway(file);
  const stop = new AbortController();
  const heard = new Set<() => void>();
  const debug: DaemonLog["debug"] = (_fields, message) => {
    if (message === "in step") for (const tell of heard) tell();
  };
  const log: DaemonLog = {
    debug,
    info: () => {},
    warn: () => {},
    error: (fields) => console.error(JSON.stringify(fields)),
  };
  /** The daemon has compared once more, and found nothing. */
  const inStep = () =>
    new Promise<void>((resolve) => {
      const tell = () => {
        heard.delete(tell);
        resolve();
      };
      heard.add(tell);
    });
  const nextConfig = () =>
    new Promise<{ readonly tookMs: number; readonly steps: readonly unknown[] }>((resolve) =>
      gateway.once("reconciled", resolve),
    );
  const first = nextConfig();
  const running = gateway.run({ signal: stop.signal, log });
  const started = await Promise.race([first, running.then(() => Promise.reject(new Error("the daemon ended")))]);
  /** How long an edit takes; waits for what follows it. */
  const edit = async (act: () => void): Promise<number> => {
    await untilIdle();
    const inForce = nextConfig();
    const compared = inStep();
    act();
    const { tookMs, steps: done } = await inForce;
    if (done.length === 0) throw new Error("an edit took no step");
    await compared;
    return tookMs;
  };
  const write = (tenant: number, port: number) => {
    writeFileSync(`${file}~`, tenantText(tenant, port));
    renameSync(`${file}~`, tenantFile(tenant));
  };
  const changeMs: number[] = [];
  for (let round = 0; round < changes; round++)
    changeMs.push(await edit(() => write(Math.floor((tenants * round) / changes), 8000 + round)));
  const newMs: number[] = [];
  for (let round = 0; round < changes; round++) newMs.push(await edit(() => write(tenants + round, 9000 + round)));
  await edit(() => {
    for (let round = 0; round < changes; round++) rmSync(tenantFile(tenants + round));
  });
  global.gc?.();
  await untilIdle();
  const idlePercent: number[] = [];
  for (let window = 0; window < idleWindows; window++) {
    const before = process.cpuUsage();
    await sleep(idleMs);
    const { user, system } = process.cpuUsage(before);
    idlePercent.push((100 * (user + system)) / 1000 / idleMs);
  }
  const memoryMiB = process.memoryUsage().rss / 2 ** 20;
  const repairMs: number[] = [];
  for (let round = 0; round < changes; round++) {
    await untilIdle();
    const repaired = new Promise<{ readonly tookMs: number }>((resolve) => gateway.once("repaired", resolve));
    const compared = inStep();
    await loseRoute(Math.floor((tenants * round) / changes));
    repairMs.push((await repaired).tookMs);
    await compared;
  }
  stop.abort();
  await running;
  const { tookMs: firstApplyMs, steps } = started;
  return { firstApplyMs, firstApplySteps: steps.length, changeMs, newMs, repairMs, memoryMiB, idlePercent };
}

const [mode, folder = "", ...numbers] = process.argv.slice(2);
const [tenants = 0, count = 0, idleMs = 0] = numbers.map(Number);
let measured: Measured = {};
if (mode === "start") measured = await measureStart(folder);
else if (mode === "daemon") measured = await measureDaemon(folder, tenants, count, idleMs);
else await teardown((await loadConfig(readyConfig(folder).file)).config.instance);
process.stdout.write(`${JSON.stringify(measured)}\n`);
