// `xgw monitor` as a shell sees it: the real programs over test runs, real rings, the kernel's own drops, and tshark's reading of
// what was written.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BpfObject, BpfProgram } from "libbpf-ts";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { u32 } from "../../src/datapath/layout.js";
import { eventSchema, type MonitorEvent } from "../../src/monitor/schema.js";
import { objectFile } from "./support/datapath.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { ethernet, ipv4, udp } from "./support/packet.js";
import { connectionOf, stranger, user1, user2 } from "./support/world.js";

const gateway = await FlowGateway.make(4096);

/** The command, from the moment that it listens. */
class Listener {
  stdout = "";
  stderr = "";
  private readonly ended: Promise<number | null>;

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((done) => child.once("exit", done));
  }

  static async start(...words: string[]): Promise<Listener> {
    const listener = new Listener(spawn("nsenter", gateway.commandLine("monitor", ...words)));
    listeners.push(listener);
    await vi.waitFor(() => expect(listener.stderr).toContain("listening"), { timeout: 20_000, interval: 20 });
    return listener;
  }

  get events(): MonitorEvent[] {
    const lines = this.stdout.split("\n").slice(0, -1);
    return lines.map((line) => eventSchema.parse(JSON.parse(line)));
  }

  async until(test: (events: MonitorEvent[]) => boolean): Promise<MonitorEvent[]> {
    await vi.waitFor(() => expect(test(this.events), `${this.stdout}${this.stderr}`).toBe(true), {
      timeout: 20_000,
      interval: 20,
    });
    return this.events;
  }

  stop(signal: NodeJS.Signals = "SIGINT"): Promise<number | null> {
    this.child.kill(signal);
    return this.ended;
  }
}

const listeners: Listener[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.stop("SIGKILL");
});

function receive(frame: Buffer, repeat = 1): void {
  const [fingerprint = ""] = gateway.pins.fingerprints();
  using program = BpfProgram.openPinned(gateway.pins.program(fingerprint, "xgw_xdp"));
  gateway.inside(() => program.testRun({ data: frame, repeat }));
}

const fromStranger = (tenant = user1) => connectionOf({ tenant }).original.arrives({}, { src: stranger });
const drops = (events: MonitorEvent[]) => events.filter((event) => event.kind === "drop");
const leftOut = (events: MonitorEvent[]) =>
  events.flatMap((event) => (event.kind === "left_out" ? event.drops : [])).reduce((sum, one) => sum + one.packets, 0);

function tapsInPlace(): number {
  using rings = gateway.map("events");
  return [0, 1, 2, 3].filter((slot) => rings.has(u32(slot))).length;
}

function round(): number {
  using map = gateway.map("listeners");
  return Math.max(...(map.getPerCpu(u32(0)) ?? []).map((value) => value.readUInt32LE()));
}

describe("a drop by XDP", () => {
  it("is told with tenant, reason, outer source and device", async () => {
    const listener = await Listener.start("-j");
    receive(fromStranger());
    const [event] = drops(await listener.until((events) => drops(events).length > 0));
    expect(event).toMatchObject({
      ...{ kind: "drop", by: "xgw", tenant: "user1", key: 1000, reason: "stranger", endpoint: stranger, device: "lo" },
      meaning: "the outer source is not a peer of the tenant",
    });
  });

  it("of a key that no tenant has is told with the key", async () => {
    const listener = await Listener.start("-j");
    receive(connectionOf({}).original.arrives({}, { key: 3000 }));
    const [event] = drops(await listener.until((events) => drops(events).length > 0));
    expect([event?.reason, event?.key, "tenant" in (event ?? {})]).toEqual(["unknown_key", 3000, false]);
  });

  it("is told at the time at which it happened", async () => {
    const listener = await Listener.start("-j");
    const before = Date.now();
    receive(fromStranger());
    const after = Date.now();
    const [event] = await listener.until((events) => events.length > 0);
    const time = Date.parse(event?.time ?? "");
    expect([time >= before - 2, time <= after + 2]).toEqual([true, true]);
  });

  it("of another tenant than the one asked for is not shown", async () => {
    const listener = await Listener.start("-j", "--tenant", "user2");
    receive(fromStranger(user1));
    receive(fromStranger(user2));
    const events = await listener.until((events) => events.length > 0);
    expect(drops(events).map(({ tenant }) => tenant)).toEqual(["user2"]);
  });

  it("is a line of text for people", async () => {
    const listener = await Listener.start("--kind", "drop");
    receive(fromStranger());
    await vi.waitFor(() => expect(listener.stdout).toContain("\n"), { timeout: 20_000 });
    expect(listener.stdout).toMatch(
      /^\d\d:\d\d:\d\d\.\d{6} user1 drop stranger: .*from 172\.168\.0\.66, on lo, \d+ bytes\n$/,
    );
  });
});

describe("a flow", () => {
  it("that is deleted is told as decided anew", async () => {
    const connection = connectionOf({});
    gateway.clear();
    gateway.teach(connection);
    const listener = await Listener.start("-j", "--kind", "flow");
    expect(gateway.xgw("flow", "delete", "--tenant", "user1").code).toBe(0);
    const events = await listener.until((events) => events.length >= 2);
    expect(events.map((event) => [event.kind, "tenant" in event && event.tenant])).toEqual([
      ["flow_redecided", "user1"],
      ["flow_redecided", "user1"],
    ]);
  });
});

describe("a drop by the kernel", () => {
  /** What comes by the loopback device is user1's, as far as anybody asks. */
  async function listen(): Promise<Listener> {
    using tunnels = gateway.map("tunnels");
    tunnels.set(u32(1), u32(user1.id));
    onTestFinished(() => {
      using map = gateway.map("tunnels");
      map.delete(u32(1));
    });
    gateway.namespace.ip("link", "set", "lo", "up");
    return await Listener.start("-j");
  }

  function send(port: number): void {
    gateway.namespace.exec("bash", "-c", `echo -n hello > /dev/udp/127.0.0.1/${port}`);
  }

  function rules(text: string): void {
    execFileSync("nsenter", [`--net=${gateway.namespace.path}`, "nft", "-f", "-"], { input: text });
    onTestFinished(() => void gateway.namespace.exec("nft", "delete", "table", "ip", "judge"));
  }

  it("has the kernel's own reason, and the packet", async () => {
    const listener = await listen();
    send(4321);
    const events = await listener.until((events) => drops(events).some(({ reason }) => reason === "no_socket"));
    expect(drops(events).find(({ reason }) => reason === "no_socket")).toMatchObject({
      ...{ by: "kernel", tenant: "user1", device: "lo" },
      packet: { protocol: "udp", source: "127.0.0.1", destination: "127.0.0.1", destinationPort: 4321 },
    });
  });

  it("by nft's policy has the rule, with its place in the config", async () => {
    rules(`table ip judge { chain judge { type filter hook input priority 0;
      udp dport 4322 ct mark set 0x80000001 drop; }; }`);
    const listener = await listen();
    send(4322);
    const events = await listener.until((events) => drops(events).length > 0);
    expect(drops(events)[0]).toMatchObject({
      ...{ reason: "netfilter_drop", verdict: "policy" },
      rule: { direction: "inbound", rule: 0, name: "allow tcp 22", place: { file: gateway.config } },
    });
  });

  it("of what is no tenant's is not told", async () => {
    const listener = await listen();
    using tunnels = gateway.map("tunnels");
    tunnels.delete(u32(1));
    send(4323);
    tunnels.set(u32(1), u32(user1.id));
    send(4324);
    const events = await listener.until((events) => drops(events).length > 0);
    expect(drops(events).map(({ packet }) => packet?.destinationPort)).not.toContain(4323);
  });
});

describe("a drop that a netfilter program has the kernel make", () => {
  const own = "02:00:00:00:00:01";
  const [host, address] = ["10.9.0.2", "10.9.0.1"];

  /** Beginnings of connections that come in by v0, which is user1's. */
  function begin(count: number): void {
    using wire = BpfObject.open(objectFile("test-pass.bpf.o")).load();
    const context = Buffer.alloc(24);
    context.writeUInt32LE(gateway.nic, 12);
    gateway.inside(() => {
      for (let port = 1; port <= count; port++) {
        const inner = ipv4({ src: host, dst: address }, udp({ sport: 20_000 + port, dport: 53, payload: "question" }));
        const data = ethernet({ src: "02:00:00:00:00:02", dst: own }, inner);
        context.writeUInt32LE(data.length, 4);
        wire.program("pass").testRun({ data, context, liveFrames: true });
      }
    });
  }

  it("is told once, with our reason and the packet", async () => {
    const { namespace, nic, pins } = gateway;
    namespace.ip("link", "set", "v0", "address", own);
    namespace.ip("addr", "add", `${address}/24`, "dev", "v0");
    namespace.ip("neigh", "add", host, "lladdr", "02:00:00:00:00:02", "dev", "v0");
    namespace.exec(
      "nft",
      `add table ip zones { chain zone { type filter hook prerouting priority raw; ct zone set ${user1.id}; }; }`,
    );
    const [fingerprint = ""] = pins.fingerprints();
    using program = BpfProgram.openPinned(pins.program(fingerprint, "xgw_quota"));
    using link = gateway.inside(() => program.attachNetfilter({ family: "ipv4", hook: "local_in", priority: 5 }));
    gateway.setLimits(user1.id, { newPerSecond: 1 });
    using tunnels = gateway.map("tunnels");
    tunnels.set(u32(nic), u32(user1.id));
    onTestFinished(() => {
      using map = gateway.map("tunnels");
      map.delete(u32(nic));
      namespace.exec("nft", "delete", "table", "ip", "zones");
      namespace.ip("addr", "del", `${address}/24`, "dev", "v0");
      gateway.clear();
    });
    const listener = await Listener.start("-j", "--port", "53");
    begin(8);
    await listener.until((events) => drops(events).length > 0);
    await sleep(300);
    await listener.stop();
    const quota = drops(listener.events).filter(({ reason }) => reason === "quota");
    expect(quota[0]).toMatchObject({
      ...{ by: "xgw", tenant: "user1", packet: { protocol: "udp", source: host, destinationPort: 53 } },
      device: "v0",
    });
    const byNft = drops(listener.events).filter(({ reason }) => reason === "netfilter_drop");
    expect([link.info.id > 0, quota.length > 3, byNft.length]).toEqual([true, true, 0]);
  });
});

describe("a flood", () => {
  const packets = 200_000;

  it("is told in part, and what was left out is counted exactly", async () => {
    const listener = await Listener.start("-j");
    receive(fromStranger(), packets);
    await sleep(1500);
    await listener.stop();
    const { events } = listener;
    const told = drops(events).length;
    expect(told).toBeLessThan(packets / 100);
    expect(told + leftOut(events)).toBe(packets);
  });

  it("of one tenant leaves another its place", async () => {
    const listener = await Listener.start("-j", "--kind", "drop", "--tenant", "user2");
    receive(fromStranger(user1), packets);
    receive(fromStranger(user2));
    const events = await listener.until((events) => drops(events).length > 0);
    expect(drops(events)).toHaveLength(1);
  });
});

describe("several monitors", () => {
  it("are told of the same drop", async () => {
    const both = [await Listener.start("-j"), await Listener.start("-j")];
    receive(fromStranger());
    const told = await Promise.all(both.map((listener) => listener.until((events) => drops(events).length > 0)));
    expect(told.map((events) => drops(events).map(({ reason }) => reason))).toEqual([["stranger"], ["stranger"]]);
  });

  it("are four at most, and the fifth is told who has the places", async () => {
    for (let n = 0; n < 4; n++) await Listener.start("-j");
    const { code, stderr } = gateway.xgw("monitor", "--seconds", "1");
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/4 monitors listen already.*process \d+ \(xgw monitor\)/),
    ]);
  });
});

describe("the end of a monitor", () => {
  it("leaves nothing, and the programs look no further than one word", async () => {
    const listener = await Listener.start("-j");
    expect([tapsInPlace(), round() > 0]).toEqual([1, true]);
    expect(await listener.stop()).toBe(0);
    expect([tapsInPlace(), round()]).toEqual([0, 0]);
  });

  it("by SIGKILL leaves a ring, which the next one takes away", async () => {
    const dead = await Listener.start("-j");
    await dead.stop("SIGKILL");
    expect(tapsInPlace()).toBe(1);
    const next = await Listener.start("-j");
    await next.stop();
    expect([tapsInPlace(), round()]).toEqual([0, 0]);
  });

  it("comes after as many events as were asked for", async () => {
    const listener = await Listener.start("-j", "--count", "2");
    for (let n = 0; n < 5; n++) receive(fromStranger());
    await vi.waitFor(() => expect(listener.stderr).toContain("2 events"), { timeout: 20_000 });
    expect(drops(listener.events)).toHaveLength(2);
  });
});

describe("a capture file", () => {
  it("is read by tshark, with reason and tenant in each packet's comment", async () => {
    const folder = mkdtempSync(join(tmpdir(), "xgw-monitor-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "drops.pcapng");
    const listener = await Listener.start("-j", "--pcap", file);
    const frame = fromStranger();
    receive(frame);
    await listener.until((events) => drops(events).length > 0);
    await listener.stop();
    const fields = ["frame.len", "frame.comment", "gre.key", "frame.interface_name"];
    const args = ["-r", file, "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
    const [length, comment, key, link] = execFileSync("tshark", args, { encoding: "utf8" }).trimEnd().split("\t");
    expect({ length, comment, key, link }).toEqual({
      length: String(frame.length),
      comment: "drop stranger tenant=user1 key=1000 device=lo",
      key: "0x000003e8",
      link: "xgw-ethernet",
    });
  });
});
