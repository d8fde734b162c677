// What the daemon's log says of an edit: what it changed, with its line, and never too much.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type ConfigSource, configChanged, configFile, type SourcedConfig } from "../../../src/daemon/config-source.js";
import { toldEdits } from "../../../src/daemon/edits.js";
import { directoryOf, head, tenant } from "../config/fixture.js";

let folder: string;
let source: ConfigSource;
let before: SourcedConfig;

const main = (tenants: string) => `${head}${tenants}`;
const many = (number: number, limits: string) =>
  Array.from({ length: number }, (_, at) => `  - { name: t${at}, key: ${at + 10}, limits: { sessions: ${limits} } }\n`);

beforeEach(async () => {
  folder = directoryOf({
    "xgw.yaml": main(many(2, "5").join("")),
    "tenants.d/1.yaml": tenant("one", 1),
    "tenants.d/2.yaml": tenant("two", 2),
  });
  source = configFile(join(folder, "xgw.yaml"), join(folder, "run"));
  await sleep(100);
  before = await source.load("start");
});

async function edit(file: string, text: string, why = "SIGHUP"): Promise<string[]> {
  writeFileSync(join(folder, file), text);
  const after = await source.load(why);
  return toldEdits(before.config, after.config, after.sources).map((line) => line.replace(`${folder}/`, ""));
}

describe("the log names what an edit changed", () => {
  it("with the file and the line", async () => {
    expect(await edit("xgw.yaml", main(`${many(2, "5").join("")}  - { name: new, key: 30 }\n`))).toEqual([
      expect.stringMatching(/^tenant new: added \(xgw\.yaml:\d+\)$/),
    ]);
  });

  it("also where only the file that changed was read", async () => {
    const said: string[] = [];
    const watching = source.watch((why) => said.push(why));
    writeFileSync(join(folder, "tenants.d/2.yaml"), `# longer\n${tenant("two", 2, "limits: { sessions: 7 }")}`);
    await vi.waitFor(() => expect(said).toEqual([configChanged]), 3000);
    const after = await source.load(configChanged);
    watching.close();
    const lines = toldEdits(before.config, after.config, after.sources);
    expect(lines).toEqual([
      expect.stringMatching(/^tenant two: limits: \{sessions:7\} \(was \{\}\) \(.*tenants\.d\/2\.yaml:\d+\)$/),
    ]);
    expect(Number(/:(\d+)\)$/.exec(lines[0] ?? "")?.[1])).toBeGreaterThan(1);
  });

  it("in a long file without the line", async () => {
    const comment = `# ${"x".repeat(300_000)}\n`;
    expect(await edit("xgw.yaml", `${comment}${main(many(1, "5").join(""))}`)).toEqual(["tenant t1: removed"]);
    expect(await edit("xgw.yaml", `${comment}${main(many(2, "6").join(""))}`)).toEqual([
      "tenant t0: limits: {sessions:6} (was {sessions:5})",
      "tenant t1: limits: {sessions:6} (was {sessions:5})",
    ]);
  });

  it("and of many things the first twenty", async () => {
    const lines = await edit("xgw.yaml", main(many(100, "5").join("")));
    expect([lines.length, lines.at(-1)]).toEqual([21, "and 78 more"]);
  });
});
