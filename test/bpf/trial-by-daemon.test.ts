// A change on trial with a daemon, all of it but the kernel's part: the daemon here takes configs, and puts nothing in force.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inNetNamespace } from "libbpf-ts";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { outputSchemas } from "../../src/cli/output/schemas.js";
import { endTrial, readTrial } from "../../src/trial.js";
import { exampleText } from "../unit/plan/fixture.js";
import { makeNamespace } from "./support/kernel.js";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const main = at("../../dist/xgw/lib/main.js");
const namespace = makeNamespace();
namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0");
namespace.ip("address", "add", "172.168.0.1/24", "dev", "eth0");
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);

const text = await exampleText(["instance: gw1", `instance: trl${process.pid}`]);
const withPort = (port: number) => text.replace("ports: [22] }", `ports: [${port}] }`);

let folder: string;
let file: string;
let copy: string;
let daemon: ChildProcess;
let taken: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "xgw-trial-"));
  [file, copy] = [join(folder, "xgw.yaml"), join(folder, "copy.yaml")];
  writeFileSync(file, text);
  writeFileSync(copy, withPort(80));
  taken = [];
  daemon = spawn("nsenter", [`--net=${namespace.path}`, process.execPath, at("support/run-following.mjs"), file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  daemon.stdout?.on("data", (data: Buffer) => taken.push(...data.toString().trim().split("\n")));
  await takes("22");
});
afterEach(() => {
  daemon.kill("SIGKILL");
  inside(() => {
    const left = readTrial(file);
    if (left) endTrial(left);
  });
  rmSync(folder, { recursive: true });
});

/** Everything that the daemon has taken so far, the last of which this is. */
const takes = (...configs: readonly string[]) =>
  vi.waitFor(() => expect(taken).toEqual(configs), { timeout: 15_000, interval: 50 });

const xgw = (...words: readonly string[]) => node(main, ...words);

function node(...words: readonly string[]): Promise<{ code: number; said: string }> {
  const args = [`--net=${namespace.path}`, process.execPath, ...words];
  return new Promise((done) => {
    execFile("nsenter", args, (error, stdout, stderr) =>
      done({ code: Number(error?.code ?? 0), said: stdout + stderr }),
    );
  });
}

/** Processes that wait for the end of a trial of the file. */
const guards = () =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`--guard\0-c\0${file}\0`);
    } catch {
      return false;
    }
  });

it("is taken by the daemon at once, and taken back when its time is over; the file stays as it is", async () => {
  const { code, said } = await xgw("apply", "-c", copy, "--confirm", "2");
  expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining(`unless kept: xgw confirm -c ${file}\n`) });
  expect(guards()).toHaveLength(1);
  await takes("22", "80", "22");
  expect(readFileSync(file, "utf8")).toBe(text);
  await vi.waitFor(() => expect(guards()).toEqual([]), 10_000);
});

it("is kept by `confirm`: it is the file, and nothing is taken back", async () => {
  await xgw("apply", "-c", copy, "--confirm", "3");
  expect((await xgw("confirm", "-c", file)).code).toBe(0);
  expect(readFileSync(file, "utf8")).toBe(withPort(80));
  await vi.waitFor(() => expect(guards()).toEqual([]), 10_000);
  expect(taken.slice(0, 2).concat([...new Set(taken.slice(2))])).toEqual(["22", "80", "80"]);
});

it("is taken back by `confirm --cancel`, which waits for the daemon", async () => {
  await xgw("apply", "-c", copy, "--confirm", "60");
  const { code, said } = await xgw("confirm", "--cancel", "-c", file);
  expect({ code, said }).toMatchObject({ code: 0, said: expect.stringMatching(/: taken back$/m) });
  await takes("22", "80", "22");
});

it("gives way to another one, and the way back is to the file all the same", async () => {
  await xgw("apply", "-c", copy, "--confirm", "60");
  writeFileSync(copy, withPort(443));
  await xgw("apply", "-c", copy, "--confirm", "2");
  await takes("22", "80", "443", "22");
  await vi.waitFor(() => expect(guards()).toEqual([]), 10_000);
});

it("goes on in a daemon that is started again", async () => {
  await xgw("apply", "-c", copy, "--confirm", "60");
  daemon.kill("SIGKILL");
  const again = spawn("nsenter", [`--net=${namespace.path}`, process.execPath, at("support/run-following.mjs"), file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const first = await new Promise((done) => again.stdout?.once("data", (data: Buffer) => done(data.toString().trim())));
  again.kill("SIGKILL");
  expect(first).toBe("80");
});

it("does not begin where nobody can be left to take it back", async () => {
  const { said } = await node(at("support/run-unguarded.mjs"), copy, file);
  expect(said).toContain("no guard today");
  await vi.waitFor(() => expect(taken.at(-1)).toBe("22"), 15_000);
  expect(inside(() => readTrial(file))).toBeUndefined();
});

it("is refused with mistakes in it, by the place in the copy, and the daemon hears nothing of it", async () => {
  writeFileSync(copy, `${text}\ncolour: blue\n`);
  expect(await xgw("apply", "-c", copy, "--confirm", "60")).toMatchObject({
    code: 2,
    said: expect.stringContaining(`${copy}:`),
  });
  expect([taken, inside(() => readTrial(file)), guards()]).toEqual([["22"], undefined, []]);
});

it("is refused where a tenants.d beside the copy is not what the daemon would use", async () => {
  const elsewhere = mkdtempSync(join(folder, "other-"));
  writeFileSync(join(elsewhere, "copy.yaml"), withPort(80));
  mkdirSync(join(elsewhere, "tenants.d"));
  const { code, said } = await xgw("apply", "-c", join(elsewhere, "copy.yaml"), "--confirm", "60");
  expect({ code, said }).toEqual({
    code: 2,
    said: expect.stringMatching(/tenants\.d is not what the daemon would use/),
  });
});

it.each([
  ["y", "kept", 0, 80],
  ["n", "taken back", 1, 22],
] as const)("in a terminal it asks: the key %s has it %s", async (key, word, code, port) => {
  const line = ["nsenter", `--net=${namespace.path}`, process.execPath, main, "apply", "-c", copy, "--confirm", "60"];
  // A terminal of its own, with nothing but keys for input.
  const terminal = spawn("script", ["-qefc", line.join(" "), "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  terminal.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  await vi.waitFor(() => expect(said).toContain("keep it?"), 15_000);
  terminal.stdin.write(key);
  const [ended] = await once(terminal, "exit");
  expect({ ended, said }).toEqual({ ended: code, said: expect.stringMatching(new RegExp(`${word}\\s*$`)) });
  expect(readFileSync(file, "utf8")).toBe(withPort(port));
});

it("goes on when the terminal dies that asked, and is taken back", async () => {
  const line = ["nsenter", `--net=${namespace.path}`, process.execPath, main, "apply", "-c", copy, "--confirm", "4"];
  const terminal = spawn("script", ["-qefc", line.join(" "), "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  terminal.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  await vi.waitFor(() => expect(said).toContain("keep it?"), 15_000);
  terminal.kill("SIGKILL");
  expect(guards()).toHaveLength(1);
  await takes("22", "80", "22");
});

it("says what it did as docs/output/apply.schema.json has it", async () => {
  const { said } = await xgw("apply", "-j", "-c", copy, "--confirm", "60");
  expect(outputSchemas.apply.schema.parse(JSON.parse(said)).trial).toEqual({ file, seconds: 60 });
});
