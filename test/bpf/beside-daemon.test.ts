// What commands say beside a daemon, which answers here by its own socket and record; on real traffic it is tried in the lab.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inNetNamespace } from "libbpf-ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outputSchemas } from "../../src/cli/output/schemas.js";
import { DaemonRecord } from "../../src/daemon/record.js";
import { type Answering, answerAs } from "../../src/daemon-socket.js";
import { textDigest, uptime } from "../../src/trial.js";
import { exampleText } from "../unit/plan/fixture.js";
import { makeNamespace } from "./support/kernel.js";

const main = fileURLToPath(new URL("../../dist/xgw/lib/main.js", import.meta.url));
const instance = `bsd${process.pid}`;
const namespace = makeNamespace();
namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0");
namespace.ip("address", "add", "172.168.0.1/24", "dev", "eth0");

const folder = mkdtempSync(join(tmpdir(), "xgw-beside-"));
const [file, copy, broken] = ["xgw.yaml", "copy.yaml", "broken.yaml"].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
const text = await exampleText(["instance: gw1", `instance: ${instance}`]);
writeFileSync(file, text);
writeFileSync(copy, text.replace("ports: [22] }", "ports: [22, 2222] }"));
writeFileSync(broken, `${text}\ncolour: blue\n`);

const record = new DaemonRecord();
beforeAll(async () => {
  const answer = () =>
    answerAs(file, () => {
      const report = record.report();
      return { ...report, instance, config: { ...report.config, file } };
    });
  const answering: Answering = await inNetNamespace(namespace.path, answer as () => never);
  return () => answering.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The daemon answers meanwhile. */
function xgw(...words: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const args = [`--net=${namespace.path}`, process.execPath, main, ...words];
  return new Promise((done) => {
    execFile("nsenter", args, (error, stdout, stderr) => done({ code: Number(error?.code ?? 0), stdout, stderr }));
  });
}

describe("plan beside a daemon", () => {
  it("of another file says so, and what that has otherwise, before what would be done", async () => {
    const { stdout } = await xgw("plan", "-c", copy);
    const lines = stdout.split("\n").slice(0, 4);
    expect(lines).toEqual([
      `${copy} is not in force: the daemon ${process.pid} follows ${file}; against that:`,
      `  tenant user1: inbound rule 0 changed: allow tcp 22, 2222 (was allow tcp 22) (${copy}:26)`,
      "",
      expect.stringMatching(/steps, 2 tenants new$/),
    ]);
  });

  it("of the daemon's file says nothing of it", async () => {
    expect((await xgw("plan", "-c", file)).stdout).not.toContain("in force");
  });

  it("says the same as JSON", async () => {
    const plan = outputSchemas.plan.schema.parse(JSON.parse((await xgw("plan", "-j", "-c", copy)).stdout));
    expect([plan.daemon, plan.edits?.map(({ tenant, place }) => [tenant, place?.line])]).toEqual([
      { pid: process.pid, file, isFollowed: false },
      [["user1", 26]],
    ]);
  });
});

describe("status -j is what docs/output/status.schema.json says", () => {
  const parsed = async (...words: readonly string[]) =>
    outputSchemas.status.schema.parse(JSON.parse((await xgw("status", "-j", ...words)).stdout));

  it("where the config was compared with the kernel", async () => {
    expect(await parsed("-c", file)).toMatchObject({ instance, inStep: false, daemon: { config: { state: "good" } } });
  });

  it("with a config on trial", async () => {
    const trial = { token: "t", instance, file, deadline: uptime() + 60, text, from: copy, was: textDigest(text) };
    record.applied({ kind: "file", ...trial });
    const status = await parsed("-c", file);
    record.applied();
    expect(status).toMatchObject({ daemon: { config: { trial: { from: copy, token: "t" } } } });
  });

  it("where the config is refused", async () => {
    expect(await parsed("-c", broken)).toMatchObject({ ok: false, error: { code: "XGW_CONFIG" } });
  });
});

describe("apply --confirm beside a daemon", () => {
  it("of the daemon's own file is refused: it has applied it already", async () => {
    const { code, stderr } = await xgw("apply", "-c", file, "--confirm", "60");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/follows .*as soon as it is saved; .*COPY/),
    });
  });
});
