// Files that have not changed are not parsed again; those that have are, whatever their clock says.
import { mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { FileCache } from "../../../src/config/file-cache.js";
import { loadConfig } from "../../../src/config/load.js";
import { directoryOf, head, tenant } from "./fixture.js";

const folder = mkdtempSync(join(tmpdir(), "xgw-cache-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a file cache", () => {
  const file = join(folder, "a.yaml");

  it("gives the same value for a file that has rested", async () => {
    writeFileSync(file, "a: 1\n");
    await sleep(100);
    const cache = new FileCache();
    const first = await cache.read(file);
    expect(await cache.read(file)).toBe(first);
  });

  it("sees an edit of the same length and time", async () => {
    writeFileSync(file, "a: 1\n");
    utimesSync(file, 1000, 1000);
    await sleep(100);
    const cache = new FileCache();
    await cache.read(file);
    writeFileSync(`${file}~`, "a: 2\n");
    utimesSync(`${file}~`, 1000, 1000);
    renameSync(`${file}~`, file);
    expect((await cache.read(file)).value).toEqual({ a: 2 });
  });

  it("sees edits that follow each other at once", async () => {
    const cache = new FileCache();
    const seen: unknown[] = [];
    for (let number = 0; number < 20; number++) {
      writeFileSync(file, `a: ${number % 10}\n`);
      seen.push((await cache.read(file)).value);
    }
    expect(seen).toEqual(Array.from({ length: 20 }, (_, number) => ({ a: number % 10 })));
  });

  describe("that is told which files are doubtful", () => {
    const link = join(folder, "link.yaml");
    let cache: FileCache;
    beforeEach(async () => {
      for (const each of [file, join(folder, "b.yaml")]) writeFileSync(each, "a: 1\n");
      rmSync(link, { force: true });
      symlinkSync(file, link);
      await sleep(100);
      cache = new FileCache();
      for (const each of [file, link]) await cache.read(each);
      cache.sweep();
      writeFileSync(file, "a: 2\n");
    });

    it("does not look at the others", async () => {
      cache.doubt(new Set([join(folder, "b.yaml")]));
      expect((await cache.read(file)).value).toEqual({ a: 1 });
    });

    it("looks at these", async () => {
      cache.doubt(new Set([file]));
      expect((await cache.read(file)).value).toEqual({ a: 2 });
    });

    it("looks at links, whose folder tells nothing", async () => {
      cache.doubt(new Set());
      expect((await cache.read(link)).value).toEqual({ a: 2 });
    });

    it("looks at all files the next time", async () => {
      cache.doubt(new Set());
      await cache.read(file);
      cache.sweep();
      expect((await cache.read(file)).value).toEqual({ a: 2 });
    });
  });

  it("forgets a file that the config no longer has", async () => {
    writeFileSync(file, "a: 1\n");
    await sleep(100);
    const cache = new FileCache();
    const first = await cache.read(file);
    cache.sweep();
    cache.sweep();
    expect(await cache.read(file)).not.toBe(first);
  });
});

it("a config read again has the same tenants for the files that have not changed", async () => {
  const directory = directoryOf({
    "xgw.yaml": head.replace("tenants:\n", ""),
    "tenants.d/1.yaml": tenant("one", 1),
    "tenants.d/2.yaml": tenant("two", 2),
  });
  await sleep(100);
  const cache = new FileCache();
  const before = (await loadConfig(join(directory, "xgw.yaml"), cache)).config.tenants;
  writeFileSync(join(directory, "tenants.d/2.yaml"), tenant("two", 3));
  const after = (await loadConfig(join(directory, "xgw.yaml"), cache)).config.tenants;
  expect([after[0] === before[0], after[1]?.key]).toEqual([true, 3]);
});

it("tenants of files that have not changed are looked at again when the underlay's address changes", async () => {
  const main = head.replace("tenants:\n", "");
  const directory = directoryOf({
    "xgw.yaml": main,
    "tenants.d/a.yaml": "name: a\nkey: 1\nroutes: [{ to: 10.0.0.0/24, via: 172.168.0.11 }]\n",
  });
  const file = join(directory, "xgw.yaml");
  await sleep(100);
  const cache = new FileCache();
  await loadConfig(file, cache);
  writeFileSync(file, main.replace("172.168.0.1 ", "172.168.0.11 "));
  await expect(loadConfig(file, cache)).rejects.toMatchObject({
    problems: [{ message: "172.168.0.11 is the gateway's own underlay address" }],
  });
});
