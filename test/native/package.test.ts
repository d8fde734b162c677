/** The package: `npm pack` gives a tarball that installs into an empty project, and works there. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";

const native = fileURLToPath(new URL("../../native/", import.meta.url));

const program = `import { BpfMap, BpfObject, type BpfError, libbpfVersion } from "libbpf-ts";
const object: BpfObject = BpfObject.open(process.argv[2] ?? "").load();
const map: BpfMap = object.map("flows");
map.set(Buffer.alloc(8, 1), Buffer.alloc(16, 2));
let code = "";
try { map.get(Buffer.alloc(1)); } catch (error) { code = (error as BpfError).code; }
console.log(JSON.stringify({ entries: [...map].length, code, version: libbpfVersion() }));
object.close();
`;

test("the packed tarball installs into an empty project, with types, addon and command", () => {
  const dir = mkdtempSync(`${tmpdir()}/libbpf-ts-`);
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", dir], {
    cwd: native,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const listed = JSON.parse(packed.slice(packed.search(/^[[{]/m))) as unknown;
  const [{ filename, files }] = Object.values(listed as object) as [{ filename: string; files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      "README.md",
      "LICENSE",
      "CMakeLists.txt",
      "src/addon.cc",
      "dist/index.d.ts",
      "docs/api.md",
    ]),
  );
  expect(paths.filter((path) => path.startsWith("build/") || path.endsWith(".tsbuildinfo"))).toEqual([]);
  writeFileSync(`${dir}/package.json`, JSON.stringify({ name: "empty", private: true, type: "module" }));
  writeFileSync(`${dir}/main.ts`, program);
  run("npm", "install", "--no-audit", "--no-fund", `./${filename}`);
  const root = `${native}../node_modules`;
  const flags = [
    "--ignoreConfig",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2023",
    "--lib",
    "es2023,esnext.disposable",
  ];
  run(`${root}/.bin/tsc`, ...flags, "--types", "node", "--typeRoots", `${root}/@types`, "main.ts");
  const output = JSON.parse(run(process.execPath, "main.js", objectFile("basic"))) as object;
  expect(output).toMatchObject({ entries: 1, code: "EINVAL", version: expect.stringMatching(/^v1\./) });
  expect(run("npx", "libbpf-ts", "--help")).toContain("libbpf-ts gen OBJECT");
});
