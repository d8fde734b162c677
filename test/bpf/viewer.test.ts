// Who may look and change nothing: commands as a user without privileges runs them, by a socket as systemd would hold it.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FlowGateway } from "./support/flow-gateway.js";

const gateway = await FlowGateway.make(1024);
const folder = mkdtempSync(join(tmpdir(), "xgw-viewer-"));
const socketPath = join(folder, "viewer.sock");
/** Where any user may read it, as where it is installed. */
const installed = join(folder, "xgw");
const main = join(installed, "lib/main.js");
const [member, group, stranger] = [64_001, 64_002, 64_003];

const inNamespace = (...command: string[]) => [`--net=${gateway.namespace.path}`, ...command];
const sessions = new Set<ChildProcess>();

/** What xgw-viewer.socket does with Accept=yes and StandardInput=socket. */
const server = createServer({ pauseOnConnect: true }, (socket: Socket) => {
  const child = spawn("nsenter", inNamespace(process.execPath, main, "-c", gateway.config, "viewer"), {
    stdio: [socket, "ignore", "ignore"],
  });
  sessions.add(child);
  child.on("close", () => sessions.delete(child));
  child.on("spawn", () => socket.destroy());
});

beforeAll(async () => {
  cpSync(fileURLToPath(new URL("../../dist/xgw", import.meta.url)), installed, { recursive: true });
  chmodSync(folder, 0o755);
  server.listen(socketPath);
  await once(server, "listening");
  chmodSync(socketPath, 0o660);
  chownSync(socketPath, 0, group);
});

afterAll(() => {
  server.close();
  for (const child of sessions) child.kill();
  rmSync(folder, { recursive: true });
});

const as = (uid: number, groups: readonly number[]) => [
  "setpriv",
  ...[`--reuid=${uid}`, `--regid=${uid}`, groups.length > 0 ? `--groups=${groups.join(",")}` : "--clear-groups"],
  ...["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"],
];

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A user's command; not by spawnSync, for the socket's end is in this process. */
async function run(words: readonly string[], { uid = member, groups = [group], net = true, socket = socketPath } = {}) {
  const command = [...as(uid, groups), process.execPath, main, ...words];
  const line = net ? ["nsenter", ...inNamespace(...command)] : command;
  const [program = "", ...args] = line;
  const env = { ...process.env, XGW_VIEWER_SOCKET: socket };
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  const [code] = await once(child, "close");
  return { code, stdout, stderr } as Ended;
}

/** All that a command could have changed here. */
function snapshot(): string {
  const { stdout } = spawnSync(
    "nsenter",
    inNamespace(
      "sh",
      "-c",
      `ip -d link show; ip -4 rule; ip -4 route show table all; nft list ruleset; find /sys/fs/bpf/xgw; sysctl net.ipv4.ip_forward
      cat ${gateway.config}; for map in flows tenants limits generations; do bpftool map dump pinned /sys/fs/bpf/xgw/${gateway.pins.instance}/maps/$map | cksum; done`,
    ),
    { encoding: "utf8" },
  );
  return stdout;
}

describe("a member of the group", () => {
  const looks: readonly (readonly string[])[] = [
    ["prog", "show", "-j"],
    ["map", "show", "-j"],
    ["map", "dump", "tenants", "-j"],
    ["link", "show", "-j"],
    ["net", "show", "-j"],
    ["flow", "list", "-j"],
    ["doctor", "-j"],
    ["status", "-j"],
    ["plan", "-j"],
  ];
  it.each(looks.map((words) => [words.join(" "), words] as const))("sees what root sees: %s", async (_, words) => {
    const seen = await run(words);
    const { code, stdout } = gateway.xgw(...words);
    expect({ code: seen.code, shape: shapeOf(seen.stdout) }).toEqual({ code, shape: shapeOf(stdout) });
  });

  it("sees the element that root sees", async () => {
    const words = ["map", "lookup", "endpoints", "user1", "10.0.0.7", "-j"];
    expect(await run(words)).toEqual(gateway.xgw(...words));
  });

  it("hears a usage error with its exit code", async () => {
    const { code, stderr } = await run(["map", "dump"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("which map?") });
  });

  it("gets long answers whole", async () => {
    const { code, stdout } = await run(["map", "dump", "flow_usage", "-j"]);
    expect([code, JSON.parse(stdout).length]).toEqual([0, 8192]);
  });

  it("leaves nothing running when it stops reading", async () => {
    const command = [
      ...as(member, [group]),
      process.execPath,
      main,
      "flow",
      "top",
      "--times",
      "0",
      "--interval",
      "0.5",
    ];
    const child = spawn("nsenter", inNamespace(...command), {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, XGW_VIEWER_SOCKET: socketPath },
    });
    await once(child.stdout, "data");
    const session = [...sessions][0];
    expect(session?.exitCode).toBe(null);
    child.kill();
    if (session) await once(session, "close");
    expect(sessions.size).toBe(0);
  });
});

describe("a member of the group changes nothing", () => {
  // What only looks is run for it; these are not, however they are put.
  const changes: readonly (readonly string[])[] = [
    ["apply"],
    ["run"],
    ["teardown"],
    ["flow", "delete", "--all"],
    ["report", "/tmp/xgw-viewer-report.tar.gz"],
    ["viewer"],
  ];
  it.each(changes.map((words) => [words.join(" "), words] as const))(
    "%s, by asking as xgw itself does",
    async (_, words) => {
      const before = snapshot();
      const answer = await ask({ argv: words, namespace: namespaceOf() });
      expect(answer).toEqual([{ err: expect.stringMatching(/viewers may not have \w+ run/) }, { exit: 4 }]);
      expect(snapshot()).toBe(before);
    },
  );

  it.each(changes.map((words) => [words.join(" "), words] as const))("%s, by the command", async (_, words) => {
    const before = snapshot();
    const { code } = await run(words);
    expect([2, 4]).toContain(code);
    expect(snapshot()).toBe(before);
  });

  it("nor reads another file as root", async () => {
    const answer = await ask({ argv: ["status", "-c", "/etc/shadow"], namespace: namespaceOf() });
    expect(answer).toEqual([{ err: expect.stringContaining("leave out -c") }, { exit: 4 }]);
  });

  it("nor looks into another network namespace", async () => {
    const { code, stderr } = await run(["status"], { net: false });
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining("this is another") });
  });

  it.each([
    ["nothing", ""],
    ["other words", "no json"],
    ["words that are none", '{"argv":"status"}'],
    ["numbers for words", '{"argv":[7],"namespace":1}'],
    ["too long", "x".repeat(100_000)],
  ])("nor by what is no request: %s", async (_, text) => {
    const before = snapshot();
    expect(await askText(`${text}\n`)).toBe("");
    expect(snapshot()).toBe(before);
  });
});

describe("others", () => {
  it("do not see anything, and hear how to", async () => {
    const { code, stdout, stderr } = await run(["status"], { uid: stranger, groups: [] });
    expect({ code, stdout, stderr }).toEqual({
      code: 4,
      stdout: "",
      stderr:
        "xgw: xgw lacks CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF; run it as root, or join the group xgw-viewer and log in again\n",
    });
  });

  it("hear that nobody answers where nobody does", async () => {
    const { code, stderr } = await run(["status"], { socket: join(folder, "none.sock") });
    expect({ code, stderr }).toEqual({
      code: 4,
      stderr: expect.stringContaining("systemctl enable --now xgw-viewer.socket"),
    });
  });
});

const namespaceOf = () =>
  Number(
    spawnSync("nsenter", inNamespace("stat", "-Lc", "%i", "/proc/self/ns/net"), { encoding: "utf8" }).stdout.trim(),
  );

/** Speaks the protocol without xgw's own end of it. */
async function ask(request: object): Promise<unknown[]> {
  const text = await askText(`${JSON.stringify(request)}\n`);
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
}

async function askText(text: string): Promise<string> {
  const { connect } = await import("node:net");
  const socket = connect(socketPath);
  socket.on("error", () => {}); // it is closed before all is read
  socket.write(text);
  let answer = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    answer += chunk;
  });
  await once(socket, "close");
  return answer;
}

/** Names of members, and how many elements: figures differ from one look to the next. */
function shapeOf(text: string): unknown {
  const shape = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shape);
    if (value === null || typeof value !== "object") return typeof value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shape(member)]));
  };
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => shape(JSON.parse(line)));
}
