// A config on trial stands in for the daemon's file, until its time is over or somebody ends it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type ConfigSource, configFile, trialChanged } from "../../../src/daemon/config-source.js";
import { endTrial, type FileTrial, readTrial, textDigest, trialOf, uptime, writeTrial } from "../../../src/trial.js";
import { directoryOf, head, tenant } from "../config/fixture.js";

const inFile = `${head}  - { name: main, key: 9 }\n`;
const onTrial = `${head}  - { name: tried, key: 10 }\n`;

let runtime: string;
let file: string;
let source: ConfigSource;
let watching: { close(): void };
let said: string[];

const names = async (why = trialChanged, from = source) =>
  (await from.load(why)).config.tenants.map(({ name }) => name);

function begin(change: Partial<FileTrial> = {}): FileTrial {
  const trial: FileTrial = {
    kind: "file",
    token: `${Math.random()}`,
    instance: "gw1",
    file,
    from: "/root/new.yaml",
    deadline: uptime() + 100,
    text: onTrial,
    was: textDigest(inFile),
    ...change,
  };
  writeTrial(trial, runtime);
  return trial;
}

function watch(): void {
  source = configFile(file, runtime);
  said = [];
  watching = source.watch((why) => said.push(why));
}

beforeEach(async () => {
  runtime = mkdtempSync(join(tmpdir(), "xgw-runtime-"));
  file = join(directoryOf({ "xgw.yaml": inFile, "tenants.d/1.yaml": tenant("beside", 1) }), "xgw.yaml");
  watch();
  await source.load("start");
});
afterEach(() => {
  watching.close();
  rmSync(runtime, { recursive: true });
});

it("a trial that begins is noticed, and what is tried is read in place of the file, with its tenants.d", async () => {
  const { token } = begin();
  await vi.waitFor(() => expect(said).toEqual([trialChanged]));
  const { config, trial } = await source.load(trialChanged);
  expect([config.tenants.map(({ name }) => name), trial?.token]).toEqual([["tried", "beside"], token]);
});

it("a trial whose time is over is noticed, and the file is in its place again", async () => {
  begin({ deadline: uptime() + 0.5 });
  await vi.waitFor(() => expect(said).toEqual([trialChanged]));
  expect(await names()).toEqual(["tried", "beside"]);
  await vi.waitFor(() => expect(said).toEqual([trialChanged, trialChanged]), 3000);
  expect([await names(), readTrial(file, runtime)]).toEqual([["main", "beside"], undefined]);
});

it("a trial that somebody ends is noticed at once", async () => {
  const trial = begin();
  await vi.waitFor(() => expect(said).toHaveLength(1));
  endTrial(trial, runtime);
  await vi.waitFor(() => expect(said).toHaveLength(2));
  expect(await names()).toEqual(["main", "beside"]);
});

it("more time for the same trial is no other trial", async () => {
  const trial = begin();
  await vi.waitFor(() => expect(said).toHaveLength(1));
  writeTrial({ ...trial, deadline: uptime() + 200 }, runtime);
  await sleep(300);
  expect(said).toHaveLength(1);
});

it("an edit of the file waits for the trial's end, one of tenants.d does not", async () => {
  const trial = begin();
  await vi.waitFor(() => expect(said).toHaveLength(1));
  await names();
  writeFileSync(file, inFile.replace("name: main", "name: edited"));
  writeFileSync(join(file, "..", "tenants.d", "1.yaml"), tenant("other", 1));
  await vi.waitFor(() => expect(said).toHaveLength(2));
  expect(await names("config changed")).toEqual(["tried", "other"]);
  endTrial(trial, runtime);
  await vi.waitFor(() => expect(said).toHaveLength(3));
  expect(await names()).toEqual(["edited", "other"]);
});

it("a daemon that is started again goes on with the trial; when its time is over, with the file", async () => {
  begin();
  expect(await names("start", configFile(file, runtime))).toEqual(["tried", "beside"]);
  begin({ deadline: uptime() - 1 });
  expect(await names("start", configFile(file, runtime))).toEqual(["main", "beside"]);
});

it("a trial is ended by its own token only, and is found by its instance", () => {
  const first = begin();
  const second = begin();
  endTrial(first, runtime);
  expect(trialOf("gw1", runtime)?.token).toBe(second.token);
});
