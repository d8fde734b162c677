// `xgw flow` as a shell sees it, over real maps and the kernel's conntrack: what is listed, shown, deleted, and why something is
// not in a faster tier.
import { ticksPerSecond } from "libbpf-ts";
import { beforeEach, describe, expect, it } from "vitest";
import { deletedSchema, listedSchema, shownSchema, topSchema } from "../../src/flow/schema.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { track } from "./support/kernel.js";
import { connectionOf, type EstablishOptions, user1, user2 } from "./support/world.js";

const gateway = await FlowGateway.make(4096);
beforeEach(() => gateway.clear());

const client = (number: number, port = 40_000) => ({ address: `1.1.1.${number}`, port });

/** A connection that XDP carries, and conntrack knows. */
function carried(options: EstablishOptions = {}, counts: { packets?: number; bytes?: bigint; rule?: number } = {}) {
  const connection = connectionOf(options);
  gateway.teach(connection, counts);
  track(gateway.namespace, connection, { status: "SEEN_REPLY,ASSURED" });
  return connection;
}

/** One that conntrack alone knows. */
function tracked(options: EstablishOptions = {}, entry: Parameters<typeof track>[2] = {}) {
  const connection = connectionOf(options);
  track(gateway.namespace, connection, entry);
  return connection;
}

const list = (...words: string[]) => gateway.json("flow", "list", ...words).map((row) => listedSchema.parse(row));
const sources = (...words: string[]) => list(...words).map(({ original }) => original.source);

describe("flow list", () => {
  it("shows a connection of XDP's once, with both directions, NAT, counts and rule", () => {
    const connection = carried({ client: client(7) }, { packets: 12, bytes: 3400n, rule: 9000 });
    gateway.remember(connection, 5);
    const [row, ...others] = list();
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      ...{ tenant: "user1", key: 1000, protocol: "tcp", nat: "dnat", tier: "xdp" },
      original: { source: "1.1.1.7", sourcePort: 40_000, destination: "2.2.2.11", destinationPort: 22 },
      reply: { source: "10.0.0.7", sourcePort: 2222, destination: "1.1.1.7", destinationPort: 40_000 },
      counted: { by: "xdp", original: { packets: 12, bytes: 3400 }, reply: { packets: 12, bytes: 3400 } },
      rule: { direction: "inbound", rule: 0 },
    });
    expect(row?.ageSeconds).toBeGreaterThanOrEqual(5);
    expect(row?.ageSeconds).toBeLessThan(60);
  });

  it("shows what conntrack alone has as the stack's", () => {
    tracked({ client: client(8), protocol: "udp" });
    expect(list()).toMatchObject([{ tier: "stack", protocol: "udp", nat: "dnat" }]);
  });

  it("counts a connection of which XDP carries one direction only to the slower tier, once", () => {
    const connection = tracked({ client: client(9) });
    gateway.put([[connection.original, connection.original.flow(gateway.template(connection.original))]]);
    expect(list().map(({ tier }) => tier)).toEqual(["stack"]);
  });

  it("does not count lines of before a change as XDP's", () => {
    carried();
    gateway.setGeneration(user1.id, 2);
    expect(list().map(({ tier }) => tier)).toEqual(["stack"]);
  });

  it.each([
    ["--tenant user2", ["1.1.1.4"]],
    ["--tenant 2000", ["1.1.1.4"]],
    ["--net 1.1.1.2", ["1.1.1.2"]],
    ["--net 2.2.2.11", ["1.1.1.1", "1.1.1.2", "1.1.1.3"]],
    ["--net 10.0.0.0/30", []],
    ["--net 10.0.0.7", ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]],
    ["--port 40002", ["1.1.1.2"]],
    ["--port 2222 --protocol udp", ["1.1.1.2"]],
    ["--protocol 17", ["1.1.1.2"]],
    ["--rule inbound:0", ["1.1.1.1"]],
    ["--rule none --tier xdp", ["1.1.1.2", "1.1.1.4"]],
    ["--tier stack", ["1.1.1.3"]],
    ["--tier xdp", ["1.1.1.1", "1.1.1.2", "1.1.1.4"]],
    ["--tier flowtable", []],
    ["--idle 30", ["1.1.1.4"]],
  ])("%s", (words, wanted) => {
    carried({ client: client(1, 40_001) }, { rule: 9000 });
    carried({ client: client(2, 40_002), protocol: "udp" });
    tracked({ client: client(3, 40_003) }, { timeout: 432_000 });
    const old = connectionOf({
      tenant: user2,
      client: client(4, 40_004),
      publicEnd: { address: "2.2.2.12", port: 23 },
    });
    const ticks = old.original.flow(0).checked;
    gateway.teach(old, { checked: (ticks - 60 * ticksPerSecond()) >>> 0 });
    expect(sources(...words.split(" ")).sort()).toEqual(wanted);
  });

  it("sorts by what is asked for, and shows so many", () => {
    carried({ client: client(1, 1) }, { packets: 10, bytes: 1000n });
    carried({ client: client(2, 2) }, { packets: 30, bytes: 500n });
    carried({ client: client(3, 3) }, { packets: 20, bytes: 5_000_000_000n });
    expect([sources(), sources("--sort", "packets", "--limit", "2")]).toEqual([
      ["1.1.1.3", "1.1.1.1", "1.1.1.2"],
      ["1.1.1.2", "1.1.1.3"],
    ]);
  });

  it("says in words how many there are besides those that it shows", () => {
    for (const n of [1, 2, 3]) carried({ client: client(n) });
    expect(gateway.xgw("flow", "list", "--limit", "1").stderr).toBe("1 of 3 connections, by bytes\n");
  });

  it("fits 80 columns", () => {
    const connection = carried(
      { client: { address: "1.1.1.254", port: 65_535 } },
      { packets: 4_294_967_295, bytes: 2n ** 47n, rule: 9000 },
    );
    gateway.remember(connection, 1);
    const lines = gateway
      .xgw("flow", "list")
      .stdout.replaceAll(/(idle|known for) [\d.]+ s/g, "$1 1 s")
      .split("\n");
    expect(lines).toEqual([
      "user1: tcp by XDP, dnat, idle 1 s, known for 1 s, rule inbound:0",
      "  1.1.1.254:65535 > 2.2.2.11:22                 4294967295 packets    141 TB",
      "  10.0.0.7:2222 > 1.1.1.254:65535               4294967295 packets    141 TB",
      "",
    ]);
  });

  it.each([
    [["--tenant", "nobody"], 'there is no tenant "nobody"; use a name or a GRE key: user1, user2'],
    [["--net", "10.0.0"], "--net 10.0.0 is no address or network; write it as 10.0.0.7 or 10.0.0.0/24"],
    [
      ["--rule", "3"],
      "--rule 3 names no rule; use inbound:N or outbound:N, N counted from 0 in the config's list, or none",
    ],
    [["--port", "65536"], "--port 65536 is no port; use a number from 0 to 65535"],
    [["--protocol", "ospf"], '"ospf" is no protocol; use tcp, udp, icmp or a number up to 255'],
    [["--limit", "0"], "--limit 0 cannot be; use a whole number from 1 to 100000; --sort none takes any"],
  ])("refuses %j", (words, complaint) => {
    expect(gateway.xgw("flow", "list", ...words)).toEqual({ code: 2, stdout: "", stderr: `xgw: ${complaint}\n` });
  });
});

const show = (...words: string[]) => {
  const [shown] = gateway.json("flow", "show", ...words);
  return shownSchema.parse(shown);
};
const codes = (...words: string[]) => {
  const { original, reply } = show(...words);
  return [original, reply].map(({ whyNotXdp, tier }) => [tier, ...whyNotXdp.map(({ code }) => code)].join(" "));
};
const words = ["user1", "1.1.1.7:40000", "2.2.2.11:22", "tcp"];

describe("flow show", () => {
  it.each([
    ["as it arrives", "1.1.1.7:40000", "2.2.2.11:22"],
    ["as it leaves", "1.1.1.7:40000", "10.0.0.7:2222"],
    ["its answer as it arrives", "10.0.0.7:2222", "1.1.1.7:40000"],
    ["its answer as it leaves", "2.2.2.11:22", "1.1.1.7:40000"],
  ])("finds a connection by a packet %s, with conntrack and without", (_what, from, to) => {
    const connection = carried();
    const found = () => {
      const { original, reply } = show("user1", from, to, "tcp");
      return [original.arrives.destination, original.tier, reply.arrives.source, reply.tier];
    };
    const inBoth = found();
    gateway.namespace.exec("conntrack", "-F");
    expect([inBoth, found()]).toEqual([
      ["2.2.2.11", "xdp", "10.0.0.7", "xdp"],
      ["2.2.2.11", "xdp", "10.0.0.7", "xdp"],
    ]);
    expect(connection.record.zone).toBe(user1.zone);
  });

  it("tells all of a connection that XDP carries, with the rule's place in the config", () => {
    const connection = connectionOf({});
    const [id] = gateway.teach(connection, { packets: 5, bytes: 700n, rule: 9000 });
    track(gateway.namespace, connection, { status: "SEEN_REPLY,ASSURED", mark: 1 });
    const shown = show(...words);
    expect(shown).toMatchObject({
      ...{ tenant: "user1", key: 1000, zone: 11, protocol: "tcp", nat: "dnat", tier: "xdp" },
      rule: { direction: "inbound", rule: 0, name: "allow tcp 22", place: { file: gateway.config, line: 26 } },
      conntrack: { state: "ESTABLISHED", mark: 1 },
      original: {
        ...{ tier: "xdp", whyNotXdp: [], whyNotFlowtable: [] },
        leaves: { source: "1.1.1.7", sourcePort: 40_000, destination: "10.0.0.7", destinationPort: 2222 },
        xdp: {
          ...{ arrivesBy: "gretap", packets: 5, bytes: 700, peer: "172.168.0.7", generation: 0 },
          template: {
            ...{ id, state: "ready", device: "v0", takesRedirects: true, nextHop: "02:00:00:00:00:0b" },
            ...{ endpoint: "172.168.0.11", mtu: 1458, unseen: 0 },
          },
        },
      },
    });
    expect(shown.conntrack?.status).toEqual(expect.arrayContaining(["SEEN_REPLY", "ASSURED", "DST_NAT"]));
  });

  it("says that conntrack has seen no answer", () => {
    tracked({}, { status: "UNSET", state: "SYN_SENT" });
    expect(codes(...words)).toEqual(["stack unreplied", "stack unreplied"]);
  });

  it("says in which state a TCP connection is", () => {
    tracked({}, { state: "TIME_WAIT" });
    const { original } = show(...words);
    expect(original.whyNotXdp).toEqual([
      { code: "tcp_state", text: "TCP is in state TIME_WAIT: only ESTABLISHED is carried" },
    ]);
  });

  it("says that a connection has gone from conntrack whose line is not followed any more", () => {
    gateway.teach(connectionOf({}));
    gateway.setGeneration(user1.id, 2);
    const { original, conntrack } = show(...words);
    expect([conntrack, original.whyNotXdp[0]?.code, original.whyNotFlowtable[0]?.code]).toEqual([
      undefined,
      "generation",
      "no_connection",
    ]);
  });

  it("says that the tenant has changed, and from which generation to which", () => {
    carried();
    gateway.setGeneration(user1.id, 4);
    expect(show(...words).original.whyNotXdp[0]?.text).toContain("(generation 0, now 4)");
  });

  it.each([
    [3, "template_retired"],
    [4, "template_left"],
    [0, "template_gone"],
  ])("says what became of a template in state %i, of the direction that it is of", (state, code) => {
    const connection = connectionOf({});
    const [id] = gateway.teach(connection);
    track(gateway.namespace, connection, {});
    gateway.changeTemplate(id, { state });
    expect(codes(...words)).toEqual([`stack ${code}`, "xdp"]);
  });

  it("says that a template is another tenant's by now", () => {
    const connection = connectionOf({});
    const [id] = gateway.teach(connection);
    track(gateway.namespace, connection, {});
    gateway.changeTemplate(id, { tenant: user2.id });
    expect(codes(...words)[0]).toBe("stack template_gone");
  });

  it("says that no route names the endpoint of who sends", () => {
    const server = { address: "192.168.5.5", port: 2222 };
    tracked({ server });
    expect(codes(...words)).toEqual(["stack not_learned", "stack endpoint"]);
  });

  it("says that a change of the tenant has not come to its end", () => {
    tracked();
    gateway.setGeneration(user1.id, 1);
    expect(codes(...words)[0]).toBe("stack changing");
  });

  it("says that the flow's places in the table are all taken", () => {
    tracked();
    fillAll();
    const [why] = show(...words).original.whyNotXdp;
    expect(why).toEqual({ code: "bucket_full", text: "all 32 places for it in the flow table are taken" });
  });

  it("says that the tenant is over its share and was refused", () => {
    tracked();
    gateway.setLimits(user1.id, { flows: 10 });
    gateway.setUsage(user1.id, 12);
    gateway.setLosses(user1.id, { flowsRefused: 3 });
    expect(show(...words).original.whyNotXdp).toEqual([
      { code: "flow_share", text: "the tenant has 12 of its 10 lines, and was refused one 3 times" },
    ]);
  });

  it("says nothing that it does not know: the flow may just not have been learned", () => {
    tracked();
    expect(codes(...words)).toEqual(["stack not_learned", "stack not_learned"]);
  });

  it("says that no such connection is known, and fails", () => {
    const { code, stderr } = gateway.xgw("flow", "show", ...words);
    expect([code, stderr]).toEqual([1, "neither conntrack nor XDP knows such a connection of user1\n"]);
  });

  it("fits 80 columns", () => {
    const connection = connectionOf({});
    const [, other] = gateway.teach(connection, { packets: 5, bytes: 700n, rule: 9000 });
    track(gateway.namespace, connection, { status: "SEEN_REPLY,ASSURED", mark: 1, timeout: 50 });
    gateway.changeTemplate(other, { state: 4 });
    gateway.remember(connection, 1);
    const text = gateway.xgw("flow", "show", ...words).stdout;
    const steady = text
      .replaceAll(/idle [\d.]+ s/g, "idle 1 s")
      .replaceAll(/known for .* s$/gm, "known for 1 s")
      .replaceAll(/ends in [^,]+/g, "ends in 99 s")
      .replace(gateway.config, "/etc/xgw/xgw.yaml");
    expect(steady.split("\n")).toEqual(shownText);
    expect(Math.max(...steady.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

const shownText = `user1 (key 1000, zone 11): tcp by stack, dnat, known for 1 s
  rule: inbound:0, allow tcp 22 (/etc/xgw/xgw.yaml:26)
  conntrack: ESTABLISHED, SEEN_REPLY ASSURED DST_NAT, ends in 99 s, mark 0x1
original, by XDP:
  arrives  1.1.1.7:40000 > 2.2.2.11:22
  leaves   1.1.1.7:40000 > 10.0.0.7:2222
  in XDP   5 packets, 700 B, idle 1 s, generation 0, gretap from 172.168.0.7
  template 0 (ready): by v0 to 172.168.0.11, next hop 02:00:00:00:00:0b, up to
           1458 bytes
reply, by stack:
  arrives  10.0.0.7:2222 > 1.1.1.7:40000
  leaves   2.2.2.11:22 > 1.1.1.7:40000
  in XDP   5 packets, 700 B, idle 1 s, generation 0, gretap from 172.168.0.11
  template 1 (left): by v0 to 172.168.0.7, next hop 02:00:00:00:00:0b, up to
           1458 bytes
  not by XDP: its header template 1 was left: the kernel sends another way by
    now, or was not seen to send that way
  not by the flowtable: conntrack does not say OFFLOAD of it: the flowtable
    takes it with a packet that the stack forwards, and lets go of it after a
    time without one (net.netfilter.nf_flowtable_*_timeout)
`.split("\n");

/** Every place of the table is taken by somebody. */
function fillAll(): void {
  using flows = gateway.map("flows");
  const bucket = Buffer.alloc(flows.valueSize);
  for (let way = 0; way < 32; way++) bucket[way * 64 + 16] = 99;
  for (const key of [...flows.keys()]) flows.set(key, bucket);
}

describe("flow delete", () => {
  const counted = (...words: string[]) => {
    const [value] = gateway.json("flow", "delete", ...words);
    const { matched, deleted } = deletedSchema.parse(value);
    return [matched, deleted];
  };

  it("takes both directions of what is meant, and leaves all others", () => {
    carried({ client: client(1) });
    carried({ client: client(2) });
    expect([counted("--net", "1.1.1.1"), sources("--tier", "xdp")]).toEqual([[2, 2], ["1.1.1.2"]]);
  });

  it("leaves conntrack's connection, which goes on by the stack", () => {
    carried({ client: client(1) });
    counted("--tenant", "user1");
    expect(list().map(({ tier }) => tier)).toEqual(["stack"]);
  });

  it("takes the lines off the tenant's count", () => {
    for (const n of [1, 2, 3]) carried({ client: client(n) });
    const before = gateway.usage(user1.id);
    counted("--net", "1.1.1.3");
    expect([before, gateway.usage(user1.id)]).toEqual([6, 4]);
  });

  it.each([
    [[], "flow delete needs a filter; say whose with --tenant, --net, --port or others, or --all"],
    [["--all", "--port", "1"], "--all and a filter are not for the same time; leave one of them out"],
  ])("refuses %j", (more, complaint) => {
    carried();
    expect(gateway.xgw("flow", "delete", ...more)).toEqual({ code: 2, stdout: "", stderr: `xgw: ${complaint}\n` });
    expect(sources()).toEqual(["1.1.1.7"]);
  });
});

describe("flow top", () => {
  it("shows nothing of flows at rest", () => {
    carried({}, { packets: 1000, bytes: 100_000n });
    const [value] = gateway.json("flow", "top", "--interval", "0.5");
    const { flows, rest } = topSchema.parse(value);
    expect([flows, rest.flows]).toEqual([[], 0]);
  });

  it("ranks flows by what they have counted since the last look, those that were learned meanwhile included", async () => {
    const { top, view } = await built();
    const [busy, calm] = [1, 2, 3].map((n) => carried({ client: client(n) }, { packets: 500, bytes: 50_000n }));
    using table = new view.FlowView(gateway.pins);
    const tenants = [{ name: "user1", id: user1.id, key: user1.key }];
    const looking = new top.FlowTop(table, { by: "packets", limit: 2, tenants, isMeant: () => true });
    looking.look();
    for (const [connection, packets, bytes] of [
      [busy, 540, 54_000],
      [calm, 510, 90_000],
    ] as const)
      if (connection) gateway.setCounts(connection.original, packets, bytes);
    carried({ client: client(4) }, { packets: 20, bytes: 2000n });
    const { flows, rest, seconds } = topSchema.parse(looking.look());
    const ranked = flows.map(({ arrives, packetsPerSecond }) => [
      arrives.source,
      Math.round(packetsPerSecond * seconds),
    ]);
    expect([ranked, rest.flows]).toEqual([
      [
        ["1.1.1.1", 40],
        [expect.stringMatching(/^1\.1\.1\.4$|^10\.0\.0\.7$/), 20],
      ],
      2,
    ]);
  });
});

const built = async () => ({
  top: (await import(
    new URL("../../dist/src/flow/top.js", import.meta.url).href
  )) as typeof import("../../src/flow/top.js"),
  view: (await import(
    new URL("../../dist/src/datapath/flow-view.js", import.meta.url).href
  )) as typeof import("../../src/datapath/flow-view.js"),
});
