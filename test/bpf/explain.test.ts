// `xgw explain` over the pinned data path of a gateway: its words, its data, and that it moves nothing.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BpfMap } from "libbpf-ts";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { explanationSchema } from "../../src/explain/schema.js";
import { pcapOf } from "../unit/explain/fixture.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { track } from "./support/kernel.js";
import { connectionOf, macs, stranger, user1, user2 } from "./support/world.js";

const gateway = await FlowGateway.make(10_000);
const { namespace } = gateway;
const folder = mkdtempSync(join(tmpdir(), "xgw-explain-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the kernel is asked for behind the tunnel: here the tunnel is the NIC itself. */
namespace.ip("link", "set", "v0", "down");
namespace.ip("link", "set", "v0", "address", macs.gateway, "up");
namespace.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
namespace.ip("addr", "add", "172.168.0.1/24", "dev", "v0");
namespace.ip("neigh", "add", "172.168.0.11", "lladdr", macs.server, "dev", "v0");
namespace.ip("route", "add", "1.1.1.0/24", "via", "10.0.0.254", "dev", "v0");
namespace.ip("neigh", "add", "10.0.0.7", "lladdr", macs.innerServer, "dev", "v0");
for (const name of ["all", "v0"]) namespace.exec("sysctl", "-qw", `net.ipv4.conf.${name}.rp_filter=0`);
namespace.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");

const table = `xgw_${gateway.pins.instance}`;
/** The maps of the rules, as far as a connection's first packet is judged by them: 2.2.2.11 is 10.0.0.7, port 22 in, 53 out. */
const maps = `table ip ${table} {
  map dnat_to { typeof ct zone . ip daddr : ip daddr; elements = { ${user1.zone} . 2.2.2.11 : 10.0.0.7 } }
  map snat_to { typeof ct zone . ip saddr : ip saddr; elements = { ${user1.zone} . 10.0.0.7 : 2.2.2.11 } }
  map forward_to { typeof ct zone . ip daddr . ip protocol . th dport : ip daddr . th dport;
    elements = { ${user1.zone} . 2.2.2.13 . 6 . 80 : 10.0.0.7 . 8080 } }
  map inbound0 { typeof ct zone . ip protocol . ip saddr . th dport : ct mark; flags interval;
    elements = { ${user1.zone} . 6 . 0.0.0.0/0 . 22 : 1, ${user1.zone} . 6 . 0.0.0.0/0 . 23 : 0x80000002,
      ${user1.zone} . 1 . 0.0.0.0/0 . 0-65535 : 3, ${user1.zone} . 6 . 0.0.0.0/0 . 8080 : 1 } }
  map outbound0 { typeof ct zone . ip protocol . ip daddr . th dport : ct mark; flags interval;
    elements = { ${user1.zone} . 17 . 0.0.0.0/0 . 53 : 0x10002 } }
}`;

beforeEach(() => {
  gateway.clear();
  namespace.exec("nft", "flush ruleset");
  writeFileSync(join(folder, "rules"), maps);
  namespace.exec("nft", "-f", join(folder, "rules"));
});

const explain = (...words: string[]) => explanationSchema.parse(gateway.json("explain", ...words)[0]);
const inbound = ["--tenant", "user1", "--in"] as const;
const stepsOf = ({ steps }: ReturnType<typeof explain>, name: string) =>
  steps.filter(({ step }) => step === name).map(({ text }) => text);

function carried() {
  const connection = connectionOf({ client: { address: "1.1.1.7", port: 4444 } });
  gateway.teach(connection, { rule: 9000 });
  track(namespace, connection, { status: "SEEN_REPLY,ASSURED", mark: 1, timeout: 5000 });
  return connection;
}

/** A digest of everything pinned. */
function contents(): Record<string, string> {
  return Object.fromEntries(
    gateway.pins.maps().flatMap((name) => {
      using map: BpfMap = gateway.map(name);
      if (map.type === "ringbuf") return [];
      const hash = createHash("sha256");
      for (const { keys, values } of map.batches()) hash.update(keys).update(values);
      return [[name, hash.digest("hex")]];
    }),
  );
}

describe("a packet that XDP carries", () => {
  it("is told with its flow, its translation, its rule and where it leaves", () => {
    carried();
    const told = explain(...inbound, "1.1.1.7:4444", "2.2.2.11:22", "tcp");
    expect(told).toMatchObject({
      ...{ verdict: "sent", by: "xdp", reason: "forwarded", tenant: "user1", side: "gretap", device: "v0" },
      arrives: { source: "1.1.1.7", destination: "2.2.2.11", destinationPort: 22 },
      leaves: { source: "1.1.1.7", destination: "10.0.0.7", destinationPort: 2222 },
      rule: { direction: "inbound", rule: 0, place: { file: gateway.config } },
    });
    expect(told.steps.map(({ step }) => step)).toEqual([
      ...["arrival", "decapsulation", "tenant", "peer", "flow", "translation", "policy"],
      ...["encapsulation", "neighbour", "device", "answer"],
    ]);
  });

  it("moves nothing when it is asked for", () => {
    carried();
    const before = contents();
    explain(...inbound, "1.1.1.7:4444", "2.2.2.11:22", "tcp");
    expect(contents()).toEqual(before);
  });

  it("goes up when it opens a connection anew", () => {
    carried();
    const told = explain(...inbound, "1.1.1.7:4444", "2.2.2.11:22", "tcp", "--flags", "syn");
    expect(told).toMatchObject({ by: "kernel", reason: "tcp_control" });
  });
});

describe("a packet that the kernel judges", () => {
  it("is admitted by an element of the rules, and goes where the kernel's route says", () => {
    const told = explain(...inbound, "1.1.1.7:5000", "2.2.2.11:22", "tcp");
    expect(told).toMatchObject({
      ...{ verdict: "sent", by: "kernel", reason: "no_flow" },
      leaves: { destination: "10.0.0.7", destinationPort: 22 },
      rule: { direction: "inbound", rule: 0 },
    });
    expect(stepsOf(told, "rules")).toEqual([
      `dnat_to: ${user1.zone} . 2.2.2.11 : 10.0.0.7`,
      `inbound0: ${user1.zone} . 6 . 0.0.0.0-255.255.255.255 . 22 : 1`,
    ]);
    expect(stepsOf(told, "neighbour")).toEqual([`10.0.0.7 is ${macs.innerServer} on v0 (PERMANENT)`]);
  });

  it("is dropped by a rule that denies it", () => {
    expect(explain(...inbound, "1.1.1.7:5000", "2.2.2.11:23", "tcp")).toMatchObject({
      ...{ verdict: "dropped", by: "kernel" },
      rule: { direction: "inbound", rule: 1 },
    });
  });

  it("is dropped where no rule admits it, and is told which came close", () => {
    const told = explain(...inbound, "1.1.1.7:5000", "2.2.2.11:25", "tcp");
    expect(told).toMatchObject({ verdict: "dropped", by: "kernel" });
    expect(stepsOf(told, "policy")).toEqual(["no inbound rule admits 1.1.1.7:5000 > 2.2.2.11:25"]);
    expect(stepsOf(told, "other_rule")[0]).toContain("port 25 is not one of its ports");
  });

  it("leaves under a public address when it is the tenant's own", () => {
    const told = explain("--tenant", "user1", "--out", "10.0.0.7:5000", "1.1.1.9:53", "udp");
    expect(told).toMatchObject({ verdict: "sent", leaves: { source: "2.2.2.11", destination: "1.1.1.9" } });
  });

  it("is judged by the port that it is forwarded to", () => {
    const told = explain(...inbound, "1.1.1.7:5000", "2.2.2.13:80", "tcp");
    expect(told).toMatchObject({ verdict: "sent", leaves: { destination: "10.0.0.7", destinationPort: 8080 } });
    expect(stepsOf(told, "translation")).toEqual(["DNAT: 2.2.2.13:80 is 10.0.0.7:8080"]);
  });

  it("is an echo request, which has rules, too", () => {
    expect(explain(...inbound, "1.1.1.7", "2.2.2.11", "icmp")).toMatchObject({
      ...{ verdict: "sent", by: "kernel", reason: "not_tcp_udp" },
      rule: { direction: "inbound", rule: 2 },
    });
  });

  it("is a fragment, of which nothing is claimed", () => {
    const fragment = connectionOf({}).original.arrives({ more: true });
    expect(explain("--hex", fragment.toString("hex"))).toMatchObject({ verdict: "unknown", reason: "fragment" });
  });

  it("is of a connection that conntrack has", () => {
    const connection = connectionOf({ client: { address: "1.1.1.7", port: 4444 } });
    track(namespace, connection, { mark: 1 });
    const told = explain(...inbound, "1.1.1.7:4444", "2.2.2.11:22", "tcp");
    expect(told).toMatchObject({ verdict: "sent", by: "kernel", leaves: { destination: "10.0.0.7" } });
    expect(stepsOf(told, "conntrack")).toEqual(["knows it (ESTABLISHED): this is its original direction"]);
  });

  it.each([
    [["--ttl", "1"], "time exceeded"],
    [["--length", "1600"], "fragmentation needed"],
  ])("is answered with an error when it is sent with %j", (words, error) => {
    const told = explain(...inbound, "1.1.1.7:5000", "2.2.2.11:22", "tcp", ...words);
    expect(told).toMatchObject({ verdict: "dropped", by: "kernel" });
    expect(stepsOf(told, "answer")[0]).toContain(error);
  });

  it("has nowhere to go without a route", () => {
    namespace.ip("route", "del", "1.1.1.0/24");
    const told = explain("--tenant", "user1", "--out", "10.0.0.7:5000", "1.1.1.9:53", "udp");
    namespace.ip("route", "add", "1.1.1.0/24", "via", "10.0.0.254", "dev", "v0");
    expect(told).toMatchObject({ verdict: "dropped", by: "kernel" });
    expect(stepsOf(told, "route")[0]).toContain("none to 1.1.1.9");
  });
});

describe("a frame", () => {
  const frame = connectionOf({ tenant: user2 }).original.arrives({}, { src: stranger });

  it("in hex is a stranger's", () => {
    expect(explain("--hex", frame.toString("hex"))).toMatchObject({
      ...{ verdict: "dropped", by: "xdp", reason: "stranger", tenant: "user2", side: "gre" },
    });
  });

  it("of nobody's key is nobody's", () => {
    const of = connectionOf({}).original.arrives({}, { key: 4 });
    expect(explain("--hex", of.toString("hex"))).toMatchObject({ verdict: "dropped", reason: "unknown_key" });
  });

  it("that is the machine's own is delivered", () => {
    expect(explain("--hex", "00".repeat(60))).toMatchObject({ verdict: "delivered", reason: "host" });
  });

  it("of a capture file is found by its number", () => {
    const file = join(folder, "frames.pcap");
    writeFileSync(file, pcapOf([Buffer.alloc(60), frame]));
    expect([1, 2].map((n) => explain("--pcap", file, "--frame", `${n}`).reason)).toEqual(["host", "stranger"]);
  });
});

it.each([
  [[], "explain needs a packet"],
  [["--tenant", "user1", "1.1.1.7:1", "2.2.2.11:22"], "where does the packet come from?"],
  [["--in", "1.1.1.7:1", "2.2.2.11:22"], "needs its --tenant"],
  [[...inbound, "1.1.1.7", "2.2.2.11:22"], "is no address with a port"],
  [[...inbound, "1.1.1.7:1", "2.2.2.11:22", "--flags", "fun"], 'TCP has no flag "fun"'],
  [["--tenant", "user1", "--out", "9.9.9.9:1", "2.2.2.11:22"], "by which tunnel endpoint 9.9.9.9 sends"],
  [["--hex", "xyz"], "pairs of hex digits"],
  [["--pcap", "/dev/null"], "neither pcap nor pcapng"],
  [["--hex", "00".repeat(60), "--device", "nic9"], "there is no device nic9"],
])("%j is refused with words", (words, said) => {
  const { code, stderr } = gateway.xgw("explain", ...words);
  expect([code, stderr]).toEqual([2, expect.stringContaining(said)]);
});

it("fits 80 columns", () => {
  carried();
  const { stdout } = gateway.xgw("explain", ...inbound, "1.1.1.7:4444", "2.2.2.11:22", "tcp");
  const lines = stdout.replaceAll(gateway.config, "/etc/xgw/xgw.yaml").replaceAll(/line \d+|\d+ s ago/g, "");
  expect(lines).toMatchInlineSnapshot(`
    "tcp 1.1.1.7:4444 > 2.2.2.11:22 of user1 is sent, by XDP (forwarded)
      as 1.1.1.7:4444 > 10.0.0.7:2222
      arrival        a frame of 96 bytes by v0
      decapsulation  GRE (gretap) with key 1000 from 172.168.0.7; inside, at 56, 40
                     bytes of IP
      tenant         user1, zone 11
      peer           172.168.0.7 is one of its endpoints
      flow           XDP has a flow of it, 0 packets so far
      translation    1.1.1.7:4444 > 2.2.2.11:22 becomes 1.1.1.7:4444 > 10.0.0.7:2222
      policy         the connection was admitted by inbound:0, allow tcp 22
                     (/etc/xgw/xgw.yaml:26)
      encapsulation  template 0: 56 bytes of headers, up to 1458 bytes of IP
      neighbour      next hop 02:00:00:00:00:0b
      device         leaves by v0, back by the device that it came in by, as 96
                     bytes
      - answer       the answer, 10.0.0.7:2222 > 1.1.1.7:4444, comes by the tunnel
                     from 172.168.0.11, needs no rule, for conntrack knows its
                     connection, leaves as 2.2.2.11:22 > 1.1.1.7:4444, and XDP has a
                     flow of it
    "
  `);
});
