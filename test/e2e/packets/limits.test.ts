// What one tenant may take of the kernel's own tables, by packets of every shape, and that another tenant does not notice.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readReasons } from "../../../src/datapath/counters.js";
import { readNeighbourCounts } from "../../../src/datapath/neighbours.js";
import { Pins } from "../../../src/datapath/pins.js";
import { readSessions } from "../../../src/datapath/sessions.js";
import { fragmentLimits } from "../../../src/model/fragments.js";
import { hostQuotas } from "../../../src/plan/rules.js";
import { arp, etherType, gre, icmp, ipBytes, ipv4, raw as rawBytes, tcp, udp } from "../../bpf/support/packet.js";
import { type End, gatewayAddress, RawGateway, type Sent } from "../support/raw-gateway.js";

const sessions = 10;
const config = `apiVersion: xgw/v1
instance: raw
underlay: { device: eth0, address: 172.168.0.1 }
limits: { neighbours: 200 }
tenants:
  - name: hostile
    key: 1000
    addresses: [10.0.0.1/24]
    routes:
      - { to: 10.0.0.0/24, via: 172.168.0.11 }
      - { to: 1.1.0.0/16, via: 172.168.0.7 }
    snat: { address: 2.2.2.11 }
    limits: { sessions: ${sessions} }
  - name: victim
    key: 2000
    addresses: [10.0.0.1/24]
    routes:
      - { to: 10.0.0.0/16, via: 172.168.0.12 }
      - { to: 1.1.1.7/32, via: 172.168.0.7 }
  - name: scanner
    key: 3000
    addresses: [10.0.0.1/24]
    routes:
      - { to: 10.0.0.0/14, via: 172.168.0.13 }
      - { to: 1.1.1.7/32, via: 172.168.0.7 }
`;

const hostile: End = { kind: "gretap", key: 1000, endpoint: "172.168.0.11" };
const victim: End = { kind: "gretap", key: 2000, endpoint: "172.168.0.12" };
const scanner: End = { kind: "gretap", key: 3000, endpoint: "172.168.0.13" };
const far = "1.1.1.7";
/** Beside what the gateway tells hosts inside of others that it did not find. */
const isToFar = ({ packet }: Sent) => packet.subarray(16, 20).equals(ipBytes(far));
const farHosts = Array.from({ length: 60 }, (_, at) => `1.1.2.${at + 1}`);

let raw: RawGateway;
beforeAll(async () => {
  raw = await RawGateway.start({
    config,
    endpoints: ["172.168.0.7", "172.168.0.11", "172.168.0.12", "172.168.0.13"],
    neighbours: { 1000: ["10.0.0.7", far, ...farHosts], 2000: ["10.0.0.7", far], 3000: ["10.0.0.7", far] },
  });
});
afterAll(async () => raw[Symbol.asyncDispose]());

/** Ids, in the order of the config. */
const ids = { hostile: 1, victim: 2, scanner: 3 } as const;
type Name = keyof typeof ids;
const pins = new Pins("raw");
const sessionsOf = (name: Name) => readSessions(pins)?.[ids[name]] ?? 0;
const countedNeighbours = (name: Name) => readNeighbourCounts(pins)?.[ids[name]] ?? 0;
const dropped = (name: Name, reason: string) => readReasons(pins, [ids[name]]).get(ids[name])?.[reason]?.packets ?? 0;

/** Inner packets of the hostile tenant's, each of which would begin a connection. */
const beginnings = (packetOf: (at: number) => Buffer, count = 50) =>
  Array.from({ length: count }, (_, at) => raw.frame(hostile, packetOf(at)));
const to = (dst: string) => ({ src: "10.0.0.7", dst, df: false });
const syn = (at: number) => tcp({ sport: 10_000 + at, dport: 80, flags: ["syn"] });

it("hosts whose shared address has no port left for where they send are refused, and counted as the tenant's", async () => {
  await raw.gateway.tryRun("conntrack", "-F");
  const before = dropped("hostile", "no_port");
  // Of a protocol without ports the address has one connection with each destination.
  const hosts = ["10.0.0.7", "10.0.0.8", "10.0.0.9"];
  await raw.send(hosts.map((src) => raw.frame(hostile, ipv4({ src, dst: far }, rawBytes(99, Buffer.alloc(8))))));
  expect(sessionsOf("hostile"), "in conntrack").toBe(1);
  expect(dropped("hostile", "no_port") - before, "refused, and counted").toBe(2);
});

describe("a tenant's connections at one time are no more than its limit, whatever the packets' shape:", () => {
  beforeEach(async () => void (await raw.gateway.tryRun("conntrack", "-F")));

  const shapes: readonly (readonly [string, () => Buffer[], number])[] = [
    ["plain SYNs", () => beginnings((at) => ipv4(to(far), syn(at))), 50],
    [
      "SYNs with an IP option",
      () => beginnings((at) => ipv4({ ...to(far), options: Buffer.from([1, 1, 1, 1]) }, syn(at))),
      50,
    ],
    [
      "fragments",
      () =>
        Array.from({ length: 50 }, (_, at) => {
          const whole = udp({ sport: 20_000 + at, dport: 53, payload: Buffer.alloc(16) }).bytes("10.0.0.7", far);
          const piece = (bytes: Buffer, more: boolean, offset: number) =>
            raw.frame(hostile, ipv4({ ...to(far), id: 500 + at, more, offset }, rawBytes(17, bytes)));
          return [piece(whole.subarray(0, 16), true, 0), piece(whole.subarray(16), false, 16)];
        }).flat(),
      50,
    ],
    ["ICMP", () => beginnings((at) => ipv4(to(farHosts[at] ?? far), icmp())), 50],
    ["another protocol", () => beginnings((at) => ipv4(to(farHosts[at] ?? far), rawBytes(99, Buffer.alloc(8)))), 50],
    [
      "GRE with a sequence number",
      () =>
        Array.from({ length: 50 }, (_, at) => {
          const inner = raw.frame(hostile, ipv4(to(far), syn(100 + at))).subarray(14 + 28);
          const outer = gre({ type: etherType.bridged, key: 1000, sequence: at }, inner);
          return raw.outerFrame(ipv4({ src: hostile.endpoint, dst: gatewayAddress, id: 7000 + at }, outer));
        }),
      50,
    ],
    [
      "answers of hosts to the gateway itself",
      () => beginnings((at) => ipv4({ src: `10.0.0.${at + 100}`, dst: "10.0.0.1" }, icmp())),
      50,
    ],
  ];

  it.each(shapes)("%s", async (_, framesOf, count) => {
    const before = dropped("hostile", "quota");
    await raw.send(framesOf());
    expect(sessionsOf("hostile"), "in conntrack").toBe(sessions);
    expect(dropped("hostile", "quota") - before, "refused, and counted").toBe(count - sessions);
  });

  it("and another tenant's begin all the same", async () => {
    await raw.send(beginnings((at) => ipv4({ ...to(far), options: Buffer.from([1, 1, 1, 1]) }, syn(at))));
    const sent = await raw.ask(victim, ipv4({ src: "10.0.0.7", dst: far }, syn(1)), isToFar);
    expect(sent.map(({ key }) => key)).toEqual([victim.key]);
  });
});

describe("somebody on the underlay who floods the machine itself", () => {
  const entries = async () =>
    (await raw.gateway.run("conntrack", "-L"))
      .split("\n")
      .filter((line) => / dst=172\.168\.0\.1 /.test(line) && !/zone=/.test(line)).length;

  it.each<[string, number, (source: string) => Buffer]>([
    ["another protocol", 600, (src) => ipv4({ src, dst: gatewayAddress }, rawBytes(253, Buffer.alloc(8)))],
    ["SYNs", 3000, (src) => ipv4({ src, dst: gatewayAddress }, syn(1))],
  ])("takes no more of conntrack than is kept for it: %s", async (_what, count, packetFrom) => {
    const before = await entries();
    const frames = Array.from({ length: count }, (_, n) => raw.outerFrame(packetFrom(`198.18.${n >> 8}.${n & 255}`)));
    const started = performance.now();
    for (let at = 0; at < frames.length; at += 250) await raw.send(frames.slice(at, at + 250));
    const seconds = (performance.now() - started) / 1000;
    const { perSecond, burst } = count === 600 ? hostQuotas.other : hostQuotas.usual;
    expect((await entries()) - before).toBeLessThanOrEqual(burst + perSecond * (seconds + 1));
  });
});

describe("a tenant that sends to 1,600 absent hosts of its own", () => {
  const absent = (at: number) => `10.1.${at >> 8}.${at & 255}`;
  const neighboursOf = async (key: number) =>
    (await raw.gateway.run("ip", "neigh", "show", "dev", `xgre${key}`)).split("\n").filter((line) => line !== "")
      .length;
  let before = 0;

  beforeAll(async () => {
    before = dropped("scanner", "neighbours");
    const echo = (at: number) => raw.frame(scanner, ipv4({ src: "10.0.0.7", dst: absent(at) }, icmp()));
    for (let at = 1; at <= 1600; at += 50) await raw.send(Array.from({ length: 50 }, (_, more) => echo(at + more)));
  });

  it("gets no more neighbours than the part that is anybody's, or its share", () => {
    const neighbours = countedNeighbours("scanner");
    expect(neighbours).toBeGreaterThan(0);
    expect(neighbours).toBeLessThanOrEqual(100);
  });

  it("has them counted as the kernel has them", async () => {
    expect(countedNeighbours("scanner")).toBe(await neighboursOf(scanner.key));
  });

  it("is refused the others, and that is counted", () => {
    expect(dropped("scanner", "neighbours") - before).toBeGreaterThanOrEqual(1400);
  });

  it("still reaches the hosts that the kernel knows", async () => {
    const sent = await raw.ask(scanner, ipv4({ src: "10.0.0.7", dst: far }, syn(1)), isToFar);
    expect(sent.map(({ key }) => key)).toEqual([scanner.key]);
  });

  it("does not keep the gateway from asking for another tenant's next hosts", async () => {
    for (const host of ["10.0.0.20", "10.0.1.21", "10.0.2.22"]) {
      const frame = raw.frame(victim, ipv4({ src: "10.0.0.7", dst: host }, syn(2)));
      expect(await raw.asked(frame)).toContain(host); // beside what it asks again about others
    }
  });

  it("gets no more by asking for the gateway under many addresses", async () => {
    const inner = (at: number) =>
      arp({
        operation: "request",
        senderMac: "02:00:00:00:00:07",
        sender: `10.1.100.${at}`,
        targetMac: "00:00:00:00:00:00",
        target: "10.0.0.1",
      });
    const frames = Array.from({ length: 200 }, (_, at) =>
      raw.outerFrame(
        ipv4(
          { src: scanner.endpoint, dst: gatewayAddress },
          gre({ type: etherType.bridged, key: scanner.key }, inner(at + 1)),
        ),
      ),
    );
    const earlier = dropped("scanner", "neighbours");
    await raw.send(frames);
    expect(await neighboursOf(scanner.key)).toBeLessThanOrEqual(100);
    expect(dropped("scanner", "neighbours") - earlier).toBeGreaterThan(100);
  });
});

describe("a tenant that sends first fragments of datagrams, and nothing behind them", () => {
  const bytes = 1400;
  /** More than the kernel has room for. */
  const count = 8000;
  const datagram = (size: number) =>
    udp({ sport: 5353, dport: 53, payload: Buffer.alloc(size) }).bytes("10.0.0.7", far);
  const part = (whole: Buffer, id: number, offset: number, end: number) =>
    ipv4({ ...to(far), id, offset, more: end < whole.length }, rawBytes(17, whole.subarray(offset, end)));
  const memory = async () =>
    Number(/^FRAG: .* memory (\d+)/m.exec(await raw.gateway.run("cat", "/proc/net/sockstat"))?.[1]);
  const setting = async (name: string) => Number(await raw.gateway.run("sysctl", "-n", `net.ipv4.${name}`));
  let kept = 0;

  beforeAll(async () => {
    // Longer than it takes to send so many, also where the CPU is emulated.
    await raw.gateway.run("sysctl", "-qw", "net.ipv4.ipfrag_time=60");
    const whole = datagram(2 * bytes);
    for (let at = 0; at < count; at += 250)
      await raw.send(Array.from({ length: 250 }, (_, more) => raw.frame(hostile, part(whole, at + more, 0, bytes))));
    kept = await memory();
  }, 120_000);
  afterAll(() => raw.gateway.run("sysctl", "-qw", "net.ipv4.ipfrag_time=5"));

  it("has what is anybody's of the memory, and no more", async () => {
    expect(kept).toBeGreaterThanOrEqual(fragmentLimits.pool);
    expect(kept).toBeLessThan(fragmentLimits.pool + 2 * fragmentLimits.share);
    expect(kept).toBeLessThan(await setting("ipfrag_high_thresh"));
  });

  it("is refused the rest, and that is counted", () => {
    expect(dropped("hostile", "fragments")).toBeGreaterThan(count / 2);
  });

  it("does not keep another tenant's datagrams from being put together", async () => {
    const whole = datagram(8 * bytes);
    for (let id = 1; id <= 20; id++) {
      const parts = Array.from({ length: 9 }, (_, at) =>
        raw.frame(victim, part(whole, id, at * bytes, Math.min((at + 1) * bytes, whole.length))),
      );
      const sent = await raw.askFrames(parts, 3000, isToFar);
      expect(sent.map(({ key }) => key)).toContain(victim.key);
    }
    expect(dropped("victim", "fragments")).toBe(0);
  });

  it("does not keep tunnelled packets in fragments from that, either", async () => {
    const packet = raw.frame(victim, ipv4(to(far), udp({ sport: 77, dport: 53, payload: "a question" }))).subarray(14);
    const outer = { src: victim.endpoint, dst: gatewayAddress, id: 99, df: false };
    const parts = [
      ipv4({ ...outer, more: true }, rawBytes(47, packet.subarray(20, 68))),
      ipv4({ ...outer, offset: 48 }, rawBytes(47, packet.subarray(68))),
    ];
    const sent = await raw.askFrames(
      parts.map((one) => raw.outerFrame(one)),
      3000,
      isToFar,
    );
    expect(sent.map(({ key }) => key)).toEqual([victim.key]);
  });
});

describe("a host on the underlay that asks for the gateway under many addresses", () => {
  const request = (sender: string) =>
    arp({
      ...{ operation: "request", senderMac: "02:00:00:00:00:99", sender },
      ...{ targetMac: "00:00:00:00:00:00", target: gatewayAddress },
    } as const);
  const count = 2500;
  const onNic = async () => (await raw.gateway.run("ip", "neigh", "show", "dev", "eth0")).split("\n").length - 1;
  const refused = () => readReasons(pins, [0]).get(0)?.neighbours?.packets ?? 0;
  let [seconds, before] = [0, 0];

  beforeAll(async () => {
    const began = performance.now();
    before = await onNic();
    for (let at = 0; at < count; at += 250)
      await raw.send(
        Array.from({ length: 250 }, (_, more) => request(`172.168.${100 + ((at + more) >> 8)}.${(at + more) & 255}`)),
      );
    seconds = (performance.now() - began) / 1000;
  }, 120_000);

  it("is answered under so many that the machine has room for, and the others are counted", async () => {
    const more = (await onNic()) - before;
    expect(more).toBeGreaterThanOrEqual(512);
    expect(more).toBeLessThanOrEqual(512 + Math.ceil(16 * seconds) + 1);
    expect(more + refused()).toBe(count);
  });

  it("does not keep a tenant's host from being reached that the kernel does not know yet", async () => {
    const frame = raw.frame(victim, ipv4({ src: "10.0.0.7", dst: "10.0.0.99" }, syn(9)));
    expect(await raw.asked(frame)).toContain("10.0.0.99");
  });
});
