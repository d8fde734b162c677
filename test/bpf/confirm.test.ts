// A change on trial as a shell sees it, with what needs no kernel that can do everything: who may end it, and how.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inNetNamespace } from "libbpf-ts";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { endTrial, type FileTrial, readTrial, textDigest, trialPath, uptime, writeTrial } from "../../src/trial.js";
import { exampleText } from "../unit/plan/fixture.js";
import { makeNamespace } from "./support/kernel.js";

const main = fileURLToPath(new URL("../../dist/xgw/lib/main.js", import.meta.url));
const crashing = fileURLToPath(new URL("support/run-keep.mjs", import.meta.url));
const instance = `cfm${process.pid}`;
const namespace = makeNamespace();
namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0");
namespace.ip("address", "add", "172.168.0.1/24", "dev", "eth0");
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);

const folder = mkdtempSync(join(tmpdir(), "xgw-confirm-"));
const file = join(folder, "xgw.yaml");
const old = await exampleText(["instance: gw1", `instance: ${instance}`]);
const tried = old.replace("ports: [22] }", "ports: [22, 2222] }");
afterAll(() => {
  inside(() => rmSync(trialPath(file), { force: true }));
  rmSync(folder, { recursive: true });
});

function node(...words: readonly string[]) {
  const { status, stdout, stderr, signal } = spawnSync(
    "nsenter",
    [`--net=${namespace.path}`, process.execPath, ...words],
    { encoding: "utf8" },
  );
  return { code: status, said: stdout + stderr, signal };
}
const xgw = (...words: readonly string[]) => node(main, ...words);

function trial(change: Partial<FileTrial> = {}): FileTrial {
  return {
    kind: "file",
    token: `t${Math.random()}`,
    instance,
    file,
    from: "/root/new.yaml",
    deadline: uptime() + 100,
    text: tried,
    was: textDigest(old),
    ...change,
  };
}
const begin = (change: Partial<FileTrial> = {}) => inside(() => writeTrial(trial(change)));
const isOnTrial = () => inside(() => readTrial(file)) !== undefined;

beforeEach(() => {
  rmSync(file, { force: true });
  writeFileSync(file, old);
  inside(() => {
    const left = readTrial(file);
    if (left) endTrial(left);
  });
});

describe("xgw confirm", () => {
  it("with nothing on trial: exit code 1", () => {
    expect(xgw("confirm", "-c", file)).toMatchObject({
      code: 1,
      said: expect.stringContaining("no change that waits to be confirmed"),
    });
  });

  it("makes what was tried the file, with the owner and mode that it had, and ends the trial", () => {
    chmodSync(file, 0o640);
    begin();
    const { code, said } = xgw("confirm", "-c", file);
    expect({ code, said }).toEqual({ code: 0, said: `${instance}: kept\n` });
    expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777, isOnTrial()]).toEqual([tried, 0o640, false]);
  });

  it("leaves a link a link, and changes what it leads to", () => {
    const target = join(folder, "real", "gateway.yaml");
    mkdirSync(join(folder, "real"), { recursive: true });
    renameSync(file, target);
    symlinkSync(target, file);
    begin();
    xgw("confirm", "-c", file);
    expect([lstatSync(file).isSymbolicLink(), readFileSync(target, "utf8")]).toEqual([true, tried]);
  });

  it("does not overwrite what somebody has written meanwhile, and the trial goes on", () => {
    begin();
    writeFileSync(file, `${old}\n# mine\n`);
    expect(xgw("confirm", "-c", file)).toMatchObject({
      code: 1,
      said: expect.stringMatching(/has been changed since the trial began.*confirm --cancel/),
    });
    expect([readFileSync(file, "utf8"), isOnTrial()]).toEqual([`${old}\n# mine\n`, true]);
  });

  it("that comes too late changes nothing", () => {
    begin({ deadline: uptime() - 1 });
    expect(xgw("confirm", "-c", file)).toMatchObject({ code: 1, said: expect.stringContaining("too late") });
    expect(readFileSync(file, "utf8")).toBe(old);
  });

  it("finds the trial of the instance by another name of the config, too", () => {
    const copy = join(folder, "copy.yaml");
    writeFileSync(copy, tried);
    begin();
    expect(xgw("confirm", "-c", copy).code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(tried);
  });

  it("says what it did as docs/output/confirm.schema.json has it", () => {
    begin();
    expect(JSON.parse(xgw("confirm", "-j", "-c", file).said)).toEqual({ instance, file, outcome: "kept" });
  });

  it("that is killed at any point leaves the old file or the new one, and the next one ends it", () => {
    for (let at = 0; ; at++) {
      writeFileSync(file, old);
      begin();
      const { signal, said } = node(crashing, file, String(at));
      expect([old, tried]).toContain(readFileSync(file, "utf8"));
      if (signal === null) {
        expect({ at, said }).toEqual({ at: 2, said: "" });
        break;
      }
      expect(isOnTrial()).toBe(true);
      expect(xgw("confirm", "-c", file).code).toBe(0);
      expect([readFileSync(file, "utf8"), isOnTrial()]).toEqual([tried, false]);
    }
  });
});

describe("a change that is on trial", () => {
  it("is a file of root's alone", () => {
    begin();
    expect(inside(() => statSync(trialPath(file)).mode & 0o777)).toBe(0o600);
  });

  it("keeps others from being applied: exit code 1, and the two ways out", () => {
    begin();
    expect(xgw("apply", "-c", file)).toMatchObject({
      code: 1,
      said: expect.stringMatching(/on trial for \d+ s more; keep it with `xgw confirm -c .*--cancel/),
    });
  });
});

describe("apply --confirm", () => {
  it.each(["0", "-1", "x", "86401"])("%s: exit code 2", (seconds) => {
    expect(xgw("apply", "-c", file, `--confirm=${seconds}`).code).toBe(2);
  });

  it("that cannot be applied leaves nothing on trial, and nobody to take it back", () => {
    writeFileSync(file, old.replace("address: 172.168.0.1 }", "address: 172.168.0.99 }"));
    expect(xgw("apply", "-c", file, "--confirm", "60").code).toBe(3);
    expect([isOnTrial(), existsSync(file)]).toEqual([false, true]);
  });
});
