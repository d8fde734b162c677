// An edit of one file among many: what the quick way makes of it, and when it leaves it to the whole way.
import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { FileCache } from "../../../src/config/file-cache.js";
import { type LoadedConfig, loadConfig } from "../../../src/config/load.js";
import { reloadFiles } from "../../../src/config/reload.js";
import { directoryOf, head, tenant } from "./fixture.js";

const right = tenant(
  "b",
  2,
  "publicIps: [{ address: 2.2.2.1, to: 10.0.0.7 }, { address: 2.2.2.2, to: 10.0.0.8 }]",
  "portForwards: [{ address: 2.2.2.3, protocol: tcp, port: 80-90, to: 10.0.0.7 }]",
  "snat: { address: 2.2.2.1 }",
  "policy: { inbound: [{ allow: tcp, ports: [22, 80-99] }] }",
);
const files = {
  "xgw.yaml": head.replace("tenants:\n", ""),
  "tenants.d/a.yaml": tenant("a", 1),
  "tenants.d/b.yaml": right,
  "tenants.d/c.yaml": tenant("c1", 3) + tenant("c2", 4),
};

let folder: string;
let cache: FileCache;
let last: LoadedConfig;
const path = (name: string) => join(folder, "tenants.d", name);
const load = () => loadConfig(join(folder, "xgw.yaml"), cache);

async function begin(edited: Readonly<Record<string, string>> = {}): Promise<void> {
  folder = directoryOf({ ...files, ...edited });
  await sleep(60); // or the cache would not keep them
  cache = new FileCache();
  last = await load();
}
beforeEach(() => begin());

/** What the quick way says after an edit of one file. */
async function edit(name: string, text: string): Promise<LoadedConfig | undefined> {
  writeFileSync(path(name), text);
  return reload(name);
}

function reload(...names: string[]): Promise<LoadedConfig | undefined> {
  const doubtful = new Set(names.map(path));
  cache.doubt(doubtful);
  return reloadFiles(last, doubtful, cache);
}

const whole = async () => (await loadConfig(join(folder, "xgw.yaml"))).config;

describe("the quick way", () => {
  it.each([
    ["another rule", right.replace("[22,", "[23,")],
    ["another route", right.replace("172.168.0.11", "172.168.0.12")],
    ["a public address less", right.replace(", { address: 2.2.2.2, to: 10.0.0.8 }", "")],
    ["a public address for another host", right.replace("to: 10.0.0.8", "to: 10.0.0.9")],
    ["a forward to another host", right.replace("port: 80-90, to: 10.0.0.7", "port: 80-90, to: 10.0.0.9")],
    ["no shared address any more", right.replace("  snat: { address: 2.2.2.1 }\n", "")],
    ["nothing", right],
  ])("says the same as the whole way: %s", async (_what, text) => {
    expect((await edit("b.yaml", text))?.config).toEqual(await whole());
  });

  it("leaves the other tenants the objects that they were", async () => {
    const now = (await edit("b.yaml", right.replace("[22,", "[23,")))?.config.tenants;
    expect(now?.map((tenant, at) => tenant === last.config.tenants[at])).toEqual([true, false, true, true]);
  });

  it("finds a tenant's place in a list", async () => {
    const list = tenant("c1", 3) + tenant("c2", 4, "limits: { newPerSecond: 5 }");
    expect((await edit("c.yaml", list))?.config).toEqual(await whole());
  });

  it("takes several files", async () => {
    for (const [name, key] of [["a", 1] as const, ["b", 2] as const])
      writeFileSync(path(`${name}.yaml`), tenant(name, key, "limits: { newPerSecond: 5 }"));
    expect((await reload("a.yaml", "b.yaml"))?.config).toEqual(await whole());
  });

  it("leaves nothing stale to the whole way", async () => {
    await edit("b.yaml", right.replace("[22,", "[23,"));
    expect((await load()).config).toEqual(await whole());
  });

  it("can follow itself", async () => {
    last = (await edit("b.yaml", right.replace("[22,", "[23,"))) as LoadedConfig;
    expect((await edit("b.yaml", right.replace("[22,", "[24,")))?.config).toEqual(await whole());
  });
});

describe("is not taken", () => {
  it.each([
    ["another name", "b.yaml", right.replace("name: b", "name: x")],
    ["another key", "b.yaml", right.replace("key: 2", "key: 9")],
    ["another public address", "b.yaml", right.replace("2.2.2.2", "2.2.2.9")],
    ["another forwarded port", "b.yaml", right.replace("port: 80-90", "port: 80-91")],
    ["another shared address", "b.yaml", right.replace("snat: { address: 2.2.2.1 }", "snat: { address: 2.2.2.7 }")],
    ["the same address twice", "b.yaml", right.replace("address: 2.2.2.2", "address: 2.2.2.1")],
    ["two tenants that change places", "c.yaml", tenant("c2", 4) + tenant("c1", 3)],
    ["a tenant more", "c.yaml", tenant("c1", 3) + tenant("c2", 4) + tenant("c3", 5)],
    ["a tenant less", "c.yaml", tenant("c1", 3)],
    ["a field that there is not", "b.yaml", `${right}  colour: red\n`],
    ["no YAML", "b.yaml", "name: ["],
    ["a target without a route", "b.yaml", right.replace("to: 10.0.0.8", "to: 10.7.0.8")],
    ["a tunnel end that is the gateway", "b.yaml", right.replace("172.168.0.11", "172.168.0.1")],
    ["what is hardly meant", "a.yaml", "name: a\nkey: 1\n"],
  ])("for %s", async (_what, name, text) => {
    expect(await edit(name, text)).toBeUndefined();
  });

  it("for a new file", async () => expect(await edit("d.yaml", tenant("d", 9))).toBeUndefined());
  it("for one that is not read", async () => expect(await edit("d.yml", tenant("d", 9))).toBeUndefined());

  it("for a file that has gone", async () => {
    rmSync(path("a.yaml"));
    expect(await reload("a.yaml")).toBeUndefined();
  });

  it("for the main file", async () => {
    const main = new Set([join(folder, "xgw.yaml")]);
    cache.doubt(main);
    expect(await reloadFiles(last, main, cache)).toBeUndefined();
  });

  it("for a file with which something was hardly meant", async () => {
    await begin({ "tenants.d/a.yaml": "name: a\nkey: 1\n" });
    expect(await edit("a.yaml", tenant("a", 1))).toBeUndefined();
  });

  it("where a file is a link, whose folder tells nothing", async () => {
    renameSync(path("a.yaml"), join(folder, "elsewhere"));
    symlinkSync(join(folder, "elsewhere"), path("a.yaml"));
    last = await load();
    expect(await edit("b.yaml", right.replace("[22,", "[23,"))).toBeUndefined();
  });
});
