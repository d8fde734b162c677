// xgw as a stranger's program has it: packed by npm, imported by name, typed by what the package ships.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const stranger = mkdtempSync(join(tmpdir(), "xgw-stranger-"));
const modules = join(stranger, "node_modules");

beforeAll(() => {
  const pack = ["pack", "--silent", "--ignore-scripts", "--pack-destination", stranger];
  execFileSync("npm", pack, { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
  const [tarball = ""] = readdirSync(stranger).filter((name) => name.endsWith(".tgz"));
  mkdirSync(join(modules, "@types"), { recursive: true });
  execFileSync("tar", ["-xf", join(stranger, tarball), "-C", modules]);
  cpSync(join(modules, "package"), join(modules, "xgw"), { recursive: true });
  // What npm would install beside it, for the types; at run time it needs nothing.
  for (const name of ["zod", "@types/node", "undici-types"])
    symlinkSync(join(root, "node_modules", name), join(modules, name));
  writeFileSync(join(stranger, "package.json"), '{ "type": "module" }');
}, 60_000);
afterAll(() => rmSync(stranger, { recursive: true, force: true }));

/** Runs a module of the stranger's; gives what it printed, as JSON. */
function run(source: string): unknown {
  writeFileSync(join(stranger, "main.mjs"), source);
  const { stdout, stderr } = spawnSync(process.execPath, ["main.mjs"], { cwd: stranger, encoding: "utf8" });
  if (stdout === "") throw new Error(`printed nothing: ${stderr}`);
  return JSON.parse(stdout);
}

const config = (more: object = {}) =>
  JSON.stringify({
    apiVersion: "xgw/v1",
    instance: "embedded",
    underlay: { device: "nosuch0", address: "172.16.0.1" },
    tenants: [{ name: "one", key: 1, routes: [{ to: "10.0.0.0/24", via: "172.16.0.9" }] }],
    ...more,
  });

describe("a stranger's program", { timeout: 60_000 }, () => {
  it("checks a config, and has its defaults", () => {
    const source = `import { Gateway } from "xgw";
      const { config } = await new Gateway(${config()}).check();
      console.log(JSON.stringify([config.nics, config.tenants[0].tunnel]));`;
    expect(run(source)).toEqual([[{ name: "nosuch0", xdp: "native" }], "gretap"]);
  });

  it("is told what is wrong with a config, by path", () => {
    const source = `import { ConfigError, formatProblem, Gateway } from "xgw";
      const error = await new Gateway(${config({ instance: "UPPER" })}).plan().catch((error) => error);
      console.log(JSON.stringify([error instanceof ConfigError, error.exitCode, error.problems.map((one) => one.path)]));`;
    expect(run(source)).toEqual([true, 2, ["instance"]]);
  });

  it("reads a config file with the tenants beside it", () => {
    mkdirSync(join(stranger, "tenants.d"), { recursive: true });
    writeFileSync(join(stranger, "xgw.yaml"), config());
    writeFileSync(join(stranger, "tenants.d/two.yaml"), "name: two\nkey: 2\n");
    const source = `import { Gateway } from "xgw";
      const { config, warnings } = await new Gateway("xgw.yaml").check();
      console.log(JSON.stringify([config.tenants.map(({ name }) => name), warnings.length]));`;
    expect(run(source)).toEqual([["one", "two"], 1]);
  });

  it("is refused a plan for a device that is not there, with class and exit code", () => {
    const source = `import { Gateway, XgwError } from "xgw";
      const error = await new Gateway(${config()}).plan().catch((error) => error);
      console.log(JSON.stringify([error instanceof XgwError, error.exitCode, error.remedy !== undefined]));`;
    expect(run(source)).toEqual([true, process.getuid?.() === 0 ? 3 : 4, true]);
  });

  it("is refused a daemon for it, which ends", () => {
    const source = `import { Gateway } from "xgw";
      const { signal } = new AbortController();
      const error = await new Gateway(${config()}).run({ signal }).catch((error) => error);
      console.log(JSON.stringify(error.exitCode));`;
    expect(run(source)).toBe(process.getuid?.() === 0 ? 3 : 4);
  });

  it("is typed: the example compiles, strictly, with the package's own types", () => {
    cpSync(join(root, "examples/embed.ts"), join(stranger, "embed.ts"));
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--noEmit", "--types", "node", "--target", "es2023"];
    const tsc = spawnSync(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), ...strict, "--module", "nodenext", "embed.ts"],
      { cwd: stranger, encoding: "utf8" },
    );
    expect(tsc.stdout).toBe("");
  });
});

it("docs/embedding.md names every method and event", () => {
  const text = readFileSync(join(root, "docs/embedding.md"), "utf8");
  const declared = readFileSync(join(root, "dist/src/index.d.ts"), "utf8");
  const [, body = ""] = /class Gateway [^{]*\{(.*?)\n\}/s.exec(declared) ?? [];
  const methods = [...body.matchAll(/^ {4}(?!private|constructor)(\w+)\(/gm)].map(([, name]) => name ?? "");
  const events = readFileSync(join(root, "dist/src/daemon/events.d.ts"), "utf8");
  const [, list = ""] = /interface DaemonEvents \{(.*?)\n\}/s.exec(events) ?? [];
  const names = [...list.matchAll(/^ {4}(\w+): /gm)].map(([, name]) => name ?? "");
  expect([methods.length, names.length]).toEqual([7, 10]);
  expect(
    [...methods.map((name) => `\`${name}(`), ...names.map((name) => `\`${name}\``)].filter(
      (name) => !text.includes(name),
    ),
  ).toEqual([]);
});
