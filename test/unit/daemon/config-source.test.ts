// What a daemon reads again: after a change that was seen, the files of it; for any other reason all of them.
import { linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ConfigSource, configChanged, configFile, triedAgain } from "../../../src/daemon/config-source.js";
import { directoryOf, head, tenant } from "../config/fixture.js";

let file: string;
let source: ConfigSource;
let said: string[];
let watching: { close(): void };
let elsewhere: string;
const tenants = async (why: string) => (await source.load(why)).config.tenants.map(({ name, key }) => `${name} ${key}`);
const path = (name: string) => join(file, "..", "tenants.d", name);

beforeEach(async () => {
  const folder = directoryOf({
    "xgw.yaml": head.replace("tenants:\n", ""),
    "tenants.d/1.yaml": tenant("one", 1),
    "tenants.d/2.yaml": tenant("two", 2),
  });
  file = join(folder, "xgw.yaml");
  // Under another name, by which it can be written unseen.
  elsewhere = join(mkdtempSync(join(tmpdir(), "xgw-elsewhere-")), "2.yaml");
  linkSync(path("2.yaml"), elsewhere);
  await sleep(100);
  source = configFile(file);
  said = [];
  watching = source.watch((why) => said.push(why));
  await source.load("start");
});
afterEach(() => {
  watching.close();
  rmSync(join(elsewhere, ".."), { recursive: true });
});

it("a file that was seen to change", async () => {
  writeFileSync(path("1.yaml"), tenant("one", 3));
  await sleep(450);
  expect([said, await tenants(configChanged)]).toEqual([[configChanged], ["one 3", "two 2"]]);
});

it("a file that changes while the config is read, the next time", async () => {
  writeFileSync(path("1.yaml"), tenant("one", 3));
  await sleep(450);
  const reading = tenants(configChanged);
  writeFileSync(path("2.yaml"), tenant("two", 4));
  await reading;
  await sleep(450);
  expect(await tenants(configChanged)).toEqual(["one 3", "two 4"]);
});

it("a file with a mistake, until there is none", async () => {
  writeFileSync(path("1.yaml"), "name: [");
  await sleep(450);
  await expect(source.load(configChanged)).rejects.toMatchObject({ code: "XGW_CONFIG" });
  await expect(source.load(configChanged)).rejects.toMatchObject({ code: "XGW_CONFIG" });
  writeFileSync(path("1.yaml"), tenant("one", 3));
  await sleep(450);
  expect(await tenants(configChanged)).toEqual(["one 3", "two 2"]);
});

it("a file with a mistake, also when another one changes", async () => {
  writeFileSync(path("1.yaml"), "name: [");
  await sleep(450);
  await expect(source.load(configChanged)).rejects.toMatchObject({ code: "XGW_CONFIG" });
  writeFileSync(path("2.yaml"), tenant("two", 2, "limits: { newPerSecond: 5 }"));
  await sleep(450);
  await expect(source.load(configChanged)).rejects.toMatchObject({ code: "XGW_CONFIG" });
});

it("the names in the folder, when one comes that is hardly meant", async () => {
  writeFileSync(path("3.yml"), tenant("three", 3));
  await sleep(450);
  const { warnings } = await source.load(configChanged);
  expect(warnings.map(({ remedy }) => remedy)).toEqual(["rename it to .yaml"]);
});

it("none, when what is unchanged is tried again", async () => {
  writeFileSync(elsewhere, tenant("two", 4));
  await sleep(450);
  expect(await tenants(triedAgain)).toEqual(["one 1", "two 2"]);
});

it("all of them on SIGHUP, also what nobody saw", async () => {
  writeFileSync(elsewhere, tenant("two", 4));
  await sleep(450);
  expect(said).toEqual([]);
  expect(await tenants("SIGHUP")).toEqual(["one 1", "two 4"]);
});
