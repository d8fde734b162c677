// docs/daemon.md has every metric that there can be and every message that the daemon logs, and no others.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (name: string) => readFileSync(join(root, name), "utf8");
const docs = read("docs/daemon.md");

function section(title: string): string {
  const from = docs.indexOf(`\n## ${title}\n`);
  const to = docs.indexOf("\n## ", from + 1);
  return docs.slice(from, to < 0 ? undefined : to);
}

/** What stands in backticks in a column of the table's rows. */
const named = (text: string, column: number) =>
  text
    .split("\n")
    .filter((line) => /^\| .*`/.test(line))
    .flatMap((line) => [...(line.split(" | ")[column] ?? "").matchAll(/`([^`]+)`/g)].map(([, word]) => word));

describe("docs/daemon.md", () => {
  it("names every metric of the exposition, and no other", () => {
    const parts = readdirSync(join(root, "src/metrics")).map((name) => read(`src/metrics/${name}`));
    const sources = [read("src/metrics.ts"), ...parts].join("\n");
    const names = [...sources.matchAll(/["`](xgw_\w+(\$\{unit\}_total)?)["`]/g)].flatMap(([, name = "", unit]) =>
      unit ? ["packets", "bytes"].map((each) => name.replace(unit, `${each}_total`)) : name,
    );
    expect(names.length).toBeGreaterThan(25);
    expect(named(section("Metrics"), 0).sort()).toEqual(names.sort());
  });

  it("names every message of the daemon's from the level info on, and no other", () => {
    const folder = join(root, "src/daemon");
    const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
    const logged = texts.flatMap((text) =>
      [...text.matchAll(/log\.(?:info|warn|error)\(\s*(?:[^"]|"(?=[,\]]))*?"([^"]+)",?\s*\)/gs)].map(
        ([, words]) => words,
      ),
    );
    expect(logged.length).toBeGreaterThan(15);
    expect([...new Set(named(section("What it logs"), 1))].sort()).toEqual([...new Set(logged)].sort());
  });
});
