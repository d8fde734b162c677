// The scripts in the shells that they are for, with the command as it is installed.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { outputSchemas } from "../../../../src/cli/output/schemas.js";
import { Terminal } from "./terminal.js";

const main = fileURLToPath(new URL("../../../../dist/xgw/lib/main.js", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "xgw-shell-"));
const bin = join(home, "bin");
const env = { PATH: `${bin}:${process.env.PATH}`, HOME: home, XDG_CONFIG_HOME: join(home, "config") };

beforeAll(() => {
  mkdirSync(bin);
  symlinkSync(main, join(bin, "xgw"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** At a terminal: what is typed, and the line that comes of a tab behind it. */
const typed: readonly (readonly [typed: string, becomes: RegExp])[] = [
  ["fl", /xgw flow $/],
  ["flow li", /flow list $/],
  ["flow list --tier fl", /--tier flowtable $/],
  ["flow list --tier=fl", /--tier=flowtable $/],
  ["flow list --rule in", /--rule inbound:0 $/],
  ["flow list --rule inbound:", /--rule inbound:0 $/],
  ["map loo", /map lookup $/],
  ["-c /etc/pass", /-c \/etc\/passwd/],
];

describe.each([
  ["bash", "bash --norc --noprofile -i", ". <(xgw completion bash); bind 'set bell-style none'; PS1=\n"],
  [
    "zsh",
    "zsh -f -i",
    "PS1=; unsetopt beep zle_bracketed_paste prompt_cr; autoload -U compinit; compinit -D -u; . <(xgw completion zsh)\n",
  ],
] as const)("%s", (_name, shell, begin) => {
  let terminal: Terminal;
  const ready = async () => {
    terminal = new Terminal(shell, env);
    await terminal.type(`${begin}echo re''ady\n`, /ready\r?\n/);
  };
  afterEach(() => terminal.close());

  it.each(typed)("completes xgw %s", async (keys, becomes) => {
    await ready();
    await terminal.type(`xgw ${keys}\t`, becomes);
  });

  it("lists what may stand there", async () => {
    await ready();
    await terminal.type("xgw flow \t\t", /list[\s\S]*show[\s\S]*top/);
  });
});

describe("fish", () => {
  const offered = (line: string) =>
    execFileSync("fish", ["--no-config", "-c", 'xgw completion fish | source; complete -C "$argv"', line], {
      env: { ...process.env, ...env },
      encoding: "utf8",
    })
      .trimEnd()
      .split("\n");

  it.each([
    ["xgw fl", ["flow\tLook at connections: list, show, top; delete has them decided anew"]],
    ["xgw flow list --tier fl", ["flowtable"]],
    ["xgw flow list --tier=fl", ["--tier=flowtable"]],
    ["xgw flow list --rule in", ["inbound:0"]],
    ["xgw flow list --tier ", ["flowtable", "stack", "xdp"]],
  ])("completes %s", (line, expected) => {
    expect(offered(line).sort()).toEqual(expected);
  });

  it("completes files", () => {
    expect(offered("xgw -c /etc/passw").map((line) => line.replace(/\t.*/, ""))).toContain("/etc/passwd");
  });
});

it("with -j the script is a member of JSON", () => {
  const answer = execFileSync("xgw", ["completion", "fish", "-j"], {
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
  const { script } = outputSchemas.completion.schema.parse(JSON.parse(answer));
  expect(script).toContain("complete -c xgw");
});

it("a word without names costs the reading of a tenth of the program", () => {
  const folder = mkdtempSync(join(home, "coverage-"));
  const answer = execFileSync("xgw", ["__complete", "flow", "list", "--ti"], {
    env: { ...process.env, ...env, NODE_V8_COVERAGE: folder }, // names every script that was read
    encoding: "utf8",
  });
  expect(answer).toMatch(/^--tier\t/);
  const [report = ""] = readdirSync(folder);
  const { result } = JSON.parse(readFileSync(join(folder, report), "utf8")) as { result: { url: string }[] };
  const sizeOf = (files: readonly string[]) => files.reduce((sum, file) => sum + statSync(file).size, 0);
  const all = readdirSync(dirname(main)).filter((name) => name.endsWith(".js"));
  const read = result.map(({ url }) => url).filter((url) => url.startsWith("file:"));
  expect(sizeOf(read.map((url) => fileURLToPath(url)))).toBeLessThan(
    sizeOf(all.map((name) => join(dirname(main), name))) / 10,
  );
});
