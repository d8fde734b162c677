/** Without privilege: specifications can be looked at, and everything else says EPERM. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";

const script = fileURLToPath(new URL("scripts/without-privilege.mjs", import.meta.url));

test("a user without the capabilities for BPF opens, looks and sets, but may not load or create", () => {
  const dir = mkdtempSync(`${tmpdir()}/libbpf-ts-`);
  onTestFinished(() => rmSync(dir, { recursive: true }));
  copyFileSync(objectFile("basic"), `${dir}/basic.o`);
  execFileSync("chmod", ["755", dir]);
  // All but the one that reads a checkout which lies where only root can read.
  const kept = ["inh-caps", "ambient-caps", "bounding-set"].map((set) => `--${set}=-all,+dac_read_search`);
  const drop = [...kept, "--reuid=65534", "--clear-groups"];
  const text = execFileSync("setpriv", [...drop, process.execPath, script, `${dir}/basic.o`], { encoding: "utf8" });
  expect(JSON.parse(text)).toMatchObject({
    spec: { result: 14 },
    set: { result: 1 },
    btf: { result: "task_struct" },
    load: { code: "EPERM" },
    create: { code: "EPERM", message: "create hash map m: Operation not permitted (EPERM)" },
  });
});
