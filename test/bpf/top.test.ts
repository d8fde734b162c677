// `xgw top` as somebody at a terminal sees it, and as a program reads it, over real maps.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { topTableSchema } from "../../src/top/schema.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { Pty } from "./support/pty.js";
import { connectionOf, user1, user2 } from "./support/world.js";

const gateway = await FlowGateway.make(4096);
beforeEach(() => {
  gateway.clear();
  gateway.setForwarded(9000, 0, 0);
});

const live = (words = "", env?: Record<string, string>) =>
  new Pty(`${gateway.command("top", "--interval", "0.5").join(" ")} ${words}`, env);

/** One that shows the tenants. */
async function watching(): Promise<Pty> {
  const pty = live();
  await pty.untilShown("user2");
  return pty;
}

describe("in batches", () => {
  it("tells what a tenant's rules let through between two looks, as JSON", async () => {
    gateway.setForwarded(9000, 1_000_000, 1_000_000_000);
    gateway.setLimits(user1.id, { sessions: 500 });
    gateway.setUsage(user1.id, 12);
    const [program = "", ...args] = gateway.command("top", "-j", "--times", "30", "--interval", "0.5");
    const child = spawn(program, args);
    let tables: ReturnType<typeof topTableSchema.parse>[] = [];
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    const isMoving = () => tables.some(({ total }) => total.xdp.packetsPerSecond > 0);
    for (let n = 0; n < 200 && !isMoving(); n++) {
      await sleep(50);
      tables = text
        .split("\n")
        .slice(0, -1)
        .map((line) => topTableSchema.parse(JSON.parse(line)));
      if (tables.length === 1) gateway.setForwarded(9000, 1_000_400, 1_000_040_000);
    }
    child.kill();
    await once(child, "exit");
    const moving = tables.find(({ total }) => total.xdp.packetsPerSecond > 0);
    const [one, two] = moving?.tenants ?? [];
    const { packetsPerSecond = 0, bitsPerSecond = 0 } = one?.xdp ?? {};
    expect(Math.round(packetsPerSecond * (moving?.seconds ?? 0))).toBe(400);
    expect(bitsPerSecond / packetsPerSecond).toBeCloseTo(800, 0);
    expect(one).toMatchObject({ name: "user1", key: 1000, sessionsLimit: 500, flows: 12 });
    expect(two).toMatchObject({ name: "user2", xdp: { packetsPerSecond: 0 }, flows: 0 });
  });

  it("prints a table that fits 80 columns", () => {
    const { code, stdout } = gateway.xgw("top", "-b", "--interval", "0.5", "--sort", "name");
    const lines = stdout
      .replace(/^\S+ over [\d.]+ s/, "NOW")
      .replace(/^conntrack .*? flow/m, "conntrack flow")
      .split("\n");
    expect(code).toBe(0);
    expect(lines).toEqual([
      `NOW: ${gateway.pins.instance}, 2 tenants by name`,
      "conntrack flow table 0 of 8192 (0 %)",
      "XDP 0p/s 0bit/s, flowtable 0p/s 0bit/s, stack 0p/s 0bit/s",
      "",
      "                        XDP     FLOWTABLE         STACK   DROP    SESSIONS   XDP",
      " TENANT          p/s  bit/s    p/s  bit/s    p/s  bit/s    p/s      /LIMIT FLOWS",
      " user1             0      0      0      0      0      0      0         ?/-     0",
      " user2             0      0      0      0      0      0      0         ?/-     0",
      "",
    ]);
  });

  it("ends well when nobody reads on", async () => {
    const [program = "", ...args] = gateway.command("top", "-b", "--times", "0", "--interval", "0.5");
    const child = spawn(program, args);
    await once(child.stdout, "data");
    child.stdout.destroy();
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("says what to do without a terminal", () => {
    expect(gateway.xgw("top")).toEqual({
      code: 2,
      stdout: "",
      stderr:
        "xgw: the live table needs a terminal at standard input and output; use --batch (-b), which prints one table after the other\n",
    });
  });
});

describe("at a terminal", () => {
  it("fills 80 x 24 and no more", async () => {
    using pty = await watching();
    const screen = pty.screen();
    expect([screen.length, Math.max(...screen.map((row) => row.length))]).toEqual([24, 80]);
  });

  it("uses no colours", async () => {
    using pty = await watching();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what colours begin with
    expect(pty.output).not.toMatch(/\x1b\[[0-9;]*m/);
  });

  it("fits a terminal that becomes another size", async () => {
    using pty = await watching();
    pty.resize(40, 10);
    await pty.until(() => pty.screen().length === 10, "a screen of ten rows");
    expect(Math.max(...pty.screen().map((row) => row.length))).toBeLessThanOrEqual(40);
  });

  it("goes down to the flows of the tenant under the marker, and back", async () => {
    const connection = connectionOf({});
    gateway.teach(connection, { packets: 10, bytes: 1000n });
    using pty = await watching();
    await pty.untilShown(">user1");
    pty.type("\r");
    await pty.untilShown("flows of user1 in XDP by bits");
    await pty.untilShown("0 others");
    gateway.setCounts(connection.original, 20, 2000);
    await pty.untilShown("tcp   1.1.1.7:40000 > 2.2.2.11:22");
    pty.type("\x1b");
    await pty.untilShown("tenants by bits");
  });

  it("shows another tenant's flows, when Esc, the next and Enter come at once", async () => {
    const connection = connectionOf({ tenant: user2, client: { address: "1.1.1.3", port: 40_003 } }).original;
    gateway.put([[connection, connection.flow(gateway.template(connection))]]);
    using pty = await watching();
    await pty.untilShown(">user1");
    pty.type("\r");
    await pty.untilShown("0 others");
    pty.type("\x1bj\r");
    await pty.untilShown("flows of user2 in XDP by bits");
    await pty.untilShown("0 others");
    gateway.setCounts(connection, 20, 2000);
    await pty.untilShown("1.1.1.3:40003");
  });

  it("ranks flows by bits, and by packets when asked", async () => {
    const many = connectionOf({ client: { address: "1.1.1.1", port: 40_001 } }).original;
    const large = connectionOf({ client: { address: "1.1.1.2", port: 40_002 } }).original;
    for (const direction of [many, large]) gateway.put([[direction, direction.flow(gateway.template(direction))]]);
    using pty = await watching();
    pty.type("\r");
    await pty.untilShown("flows of user1 in XDP by bits");
    await pty.untilShown("0 others");
    pty.type("s");
    await pty.untilShown("flows of user1 in XDP by packets");
    await pty.untilShown("0 others");
    gateway.setCounts(many, 100, 100);
    gateway.setCounts(large, 1, 100_000);
    await pty.untilShown("1.1.1.2:40002");
    const sources = pty.screen().flatMap((row) => /(1\.1\.1\.\d):4000\d/.exec(row)?.[1] ?? []);
    expect(sources).toEqual(["1.1.1.1", "1.1.1.2"]);
  });

  it("shows the tenants that have what is typed", async () => {
    using pty = await watching();
    pty.type("/ser2\r");
    await pty.until(() => pty.screen().some((row) => row.startsWith(">user2")), "user2 under the marker");
    expect(pty.screen().some((row) => row.includes("user1"))).toBe(false);
  });

  it("sorts by the next, and explains its keys", async () => {
    using pty = await watching();
    pty.type("s");
    await pty.untilShown("tenants by packets");
    pty.type("?");
    await pty.untilShown("Space             stand still");
  });

  it("says so where the terminal cannot be drawn on", async () => {
    using pty = live("", { TERM: "dumb" });
    await pty.ended;
    expect([pty.said("code"), pty.output]).toEqual(["2", expect.stringContaining("TERM=dumb cannot be drawn on")]);
  });

  it.each([
    ["q", (pty: Pty) => pty.type("q")],
    ["Ctrl-C", (pty: Pty) => pty.type("\x03")],
    ["SIGINT", (pty: Pty) => process.kill(pidOf(pty), "SIGINT")],
    ["SIGTERM", (pty: Pty) => process.kill(pidOf(pty), "SIGTERM")],
    ["SIGHUP", (pty: Pty) => process.kill(pidOf(pty), "SIGHUP")],
  ])("leaves the terminal as it was, by %s", async (_how, quit) => {
    using pty = new Pty(`sh -c 'echo "pid=$$"; exec ${gateway.command("top").join(" ")}'`);
    await pty.untilShown("tenants by bits");
    quit(pty);
    await pty.ended;
    expect([pty.said("code"), pty.said("after")]).toEqual(["0", pty.said("before")]);
    expect(pty.output).toContain("\x1b[?25h\x1b[?1049l");
  });

  it("ends when the terminal has gone", async () => {
    const pty = new Pty(`sh -c 'echo "pid=$$"; exec ${gateway.command("top").join(" ")}'`);
    await pty.untilShown("tenants by bits");
    const pid = pidOf(pty);
    pty[Symbol.dispose]();
    await pty.until(() => hasEnded(pid), "the end");
  });

  // The last one: nothing can be looked at afterwards.
  it("leaves the terminal as it was when what it looks at has gone", async () => {
    using pty = await watching();
    rmSync(gateway.pins.map("encaps"));
    pty.type("\r");
    await pty.ended;
    expect([pty.said("code"), pty.said("after")]).toEqual(["1", pty.said("before")]);
    expect(pty.output).toContain("\x1b[?25h\x1b[?1049lxgw: ");
  });
});

/** Nobody may be there to ask for its exit code. */
const hasEnded = (pid: number): boolean =>
  !existsSync(`/proc/${pid}`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));

const pidOf = (pty: Pty): number => Number(pty.said("pid"));
