// `xgw-view`, which sudo runs as root for members of xgw-viewer: it looks at a gateway with real maps, and there is no way by it to
// change anything, or to read a file of one's choice.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands/index.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { track } from "./support/kernel.js";
import { connectionOf } from "./support/world.js";

const lib = fileURLToPath(new URL("../../dist/xgw/lib/", import.meta.url));
const gateway = await FlowGateway.make(4096);
const instance = gateway.pins.instance;
const folder = mkdtempSync(join(tmpdir(), "xgw-viewer-"));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => {
  const connection = connectionOf({});
  gateway.teach(connection);
  track(gateway.namespace, connection);
});

function run(program: string, words: readonly string[], prefix: readonly string[] = []) {
  const command = [`--net=${gateway.namespace.path}`, ...prefix, process.execPath, join(lib, program), ...words];
  const { status, stdout, stderr } = spawnSync("nsenter", command, { encoding: "utf8" });
  return { code: status, stdout, stderr };
}

const view = (...words: string[]) => run("view.js", words);

/** What somebody could have changed. */
const state = () => [
  gateway.namespace.exec("sh", "-c", "ip -d link; ip route show table all; ip rule; nft list ruleset; conntrack -C"),
  gateway.json("flow", "list", "--sort", "none").length,
  gateway.pins.maps().sort(),
];

describe("a viewer sees", () => {
  it("connections", () => {
    const { code, stdout } = view("flow", "list", "--instance", instance);
    expect([code, stdout]).toEqual([0, expect.stringContaining("1.1.1.7:40000")]);
  });

  it.each(["prog", "map", "link"])("%s", (kind) => {
    const { code, stdout } = view(kind, "show", "--instance", instance, "-j");
    expect([code, JSON.parse(stdout).length]).toEqual([0, expect.any(Number)]);
    expect(JSON.parse(stdout).length).toBeGreaterThan(0);
  });

  it("elements of maps", () => {
    expect(view("map", "dump", "flows", "--instance", instance).stdout).toContain('"saddr": "1.1.1.7"');
  });
});

describe("a viewer cannot", () => {
  const changing = commands.filter(({ readOnly, verbs }) => readOnly !== true && verbs === undefined);

  it.each(changing.map(({ name }) => name))("%s", (name) => {
    const before = state();
    expect(view(name, join(folder, "file")).code).toBe(2);
    expect(state()).toEqual(before);
  });

  it("apply, teardown, run, report or completion: these are the verbs that change or write", () => {
    expect(changing.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining(["apply", "report", "run", "teardown"]),
    );
  });

  it("delete flows", () => {
    const before = state();
    expect(view("flow", "delete", "--all", "--instance", instance).code).toBe(2);
    expect(state()).toEqual(before);
  });

  it.each([
    ["-c", "status", "-c"],
    ["--config=", "status", "--config"],
    ["-jc", "validate", "-jc"],
  ])("read a file of their choice by %s", (_name, verb, option) => {
    const secret = join(folder, "secret");
    writeFileSync(secret, "root:hash-of-a-password\n", { mode: 0o600 });
    const { code, stdout, stderr } = view(verb, option, secret);
    expect(code).toBe(2);
    expect(stdout + stderr).not.toContain("hash-of-a-password");
    expect(stdout + stderr).toContain("takes no -c");
  });

  it("read one by completion, either", () => {
    expect(view("__complete", "-c", gateway.config, "flow", "list", "--tenant", "")).toEqual({
      ...{ code: 0, stdout: "", stderr: "" },
    });
  });
});

it("without sudo, xgw says in one line what is missing, and how a viewer looks", () => {
  const nobody = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
  ];
  const { code, stderr } = run("main.js", ["prog", "show", "--instance", instance], nobody);
  expect([code, stderr]).toEqual([
    4,
    "xgw: xgw lacks CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF; run it as root, or, as a member of the group xgw-viewer, by `sudo xgw-view` instead of `xgw`\n",
  ]);
});

it("the rule for sudo names the command that the package has, and nothing more", () => {
  const rules = readFileSync(new URL("../../package/deb/sudoers", import.meta.url), "utf8");
  const lines = rules.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines).toEqual(["%xgw-viewer ALL=(root) NOPASSWD: /usr/bin/xgw-view"]);
});
