// The manual pages that the package has: what they say comes from the table of commands, and no renderer complains.
import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { defineCommand } from "../../../src/cli/command.js";
import { commands } from "../../../src/cli/commands/index.js";
import { manPages } from "../../../src/cli/man/page.js";

const edition = { version: "1.2.3", date: "2026-12-01" };
const pages = manPages(commands, edition);

/** Bold: a character, a backspace, and the character again. */
const overprinted = new RegExp(`.${String.fromCharCode(8)}`, "g");

/** As a terminal of 80 columns shows it, without bold. */
function shown(source: string): string {
  const options = { input: source, encoding: "utf8" } as const;
  const text = execFileSync("mandoc", ["-Tascii", "-Owidth=78"], options);
  return text.replaceAll(overprinted, "");
}

it("there is one for xgw and one for each verb", () => {
  expect([...pages.keys()]).toEqual(["xgw.8", ...commands.map(({ name }) => `xgw-${name}.8`)]);
});

describe.each([...pages])("%s", (_name, source) => {
  it.each([
    ["mandoc", ["-Tlint", "-Wstyle"]],
    ["groff", ["-ww", "-mandoc", "-Tutf8", "-z"]],
  ])("is nothing that %s would complain of", (program, args) => {
    const { stdout, stderr, status } = spawnSync(program, args, { input: source, encoding: "utf8" });
    expect([stdout, stderr, status]).toEqual(["", "", 0]);
  });

  it("has every section, in the usual order", () => {
    const sections = [...source.matchAll(/^\.SH (.*)$/gm)].map(([, title]) => title);
    expect(sections.filter((title) => title !== "COMMANDS")).toEqual([
      ...["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "FILES", "SEE ALSO"],
    ]);
  });

  it("is no wider than 80 columns", () => {
    const widest = Math.max(
      ...shown(source)
        .split("\n")
        .map(({ length }) => length),
    );
    expect(widest).toBeLessThanOrEqual(80);
  });
});

it("a verb's page has each option, each example and each verb of its own", () => {
  const text = shown(pages.get("xgw-flow.8") ?? "").replaceAll(/\s+/g, " ");
  for (const verb of commands.find(({ name }) => name === "flow")?.verbs ?? []) {
    expect(text).toContain(`xgw flow ${verb.name}`);
    for (const name of Object.keys(verb.options)) expect(text).toContain(`--${name}`);
    for (const [line] of verb.examples) expect(text).toContain(line);
  }
});

it("exit codes that mean something else than usual are a verb's own", () => {
  const text = shown(pages.get("xgw-plan.8") ?? "").replaceAll(/\s+/g, " ");
  expect(text).toContain("0 there is nothing to do 1 changes are pending 2 usage or config");
});

it("text that looks like roff is shown as it is", () => {
  const odd = defineCommand({
    name: "odd",
    summary: "Print .TH and \\fB",
    options: { dot: { type: "string", describe: ".hidden 'quoted' -x ~ ^" } },
    examples: [["xgw odd | jq '.a[]'", "'once'"]],
    async handler() {},
  });
  const text = shown(manPages([odd], edition).get("xgw-odd.8") ?? "");
  for (const words of ["print .TH and \\fB", ".hidden 'quoted' -x ~ ^.", "xgw odd | jq '.a[]'", "'once'"])
    expect(text).toContain(words);
});
