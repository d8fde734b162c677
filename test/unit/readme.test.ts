// What the README shows is true: its config is valid, its commands and files exist.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands/index.js";
import { loadConfig } from "../../src/config/load.js";
import { exitCodes } from "../../src/errors.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");

describe("the README", () => {
  it("shows a config that is valid, without a warning", async () => {
    const [, yaml = ""] = /```yaml\n(.*?)```/s.exec(readme) ?? [];
    const folder = mkdtempSync(join(tmpdir(), "xgw-readme-"));
    try {
      writeFileSync(join(folder, "xgw.yaml"), yaml);
      const { config, warnings } = await loadConfig(join(folder, "xgw.yaml"));
      expect(config.tenants.map(({ name }) => name)).toEqual(["user1"]);
      expect(warnings).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("lists every command there is, and no other", () => {
    const listed = [...readme.matchAll(/^\| `xgw (\w+)`/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual(commands.map(({ name }) => name).sort());
  });

  it("links to files that exist", () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, file]) => file ?? "");
    expect(links.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  it("names every exit code", () => {
    const [, listed = ""] = /Exit codes: ([^.]*)\./s.exec(readme) ?? [];
    const numbers = [...listed.matchAll(/\d/g)].map(([digit]) => Number(digit));
    expect(numbers).toEqual(Object.values(exitCodes));
  });

  it("calls npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const called = [...readme.matchAll(/npm (?:run )?(demo|test|vm|bench)\b/g)].map(([, name]) => name ?? "");
    expect(called.filter((name) => !(name in scripts))).toEqual([]);
  });
});
