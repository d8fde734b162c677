// `xgw tenant` as a shell sees it, over real maps, devices, routes, nft counters and conntrack.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import { deniedMark, outboundMark, tableName } from "../../src/plan/rules.js";
import { type TenantReport, tenantListSchema, tenantReportSchema } from "../../src/tenant/schema.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { track } from "./support/kernel.js";
import { connectionOf, type EstablishOptions, user1, user2 } from "./support/world.js";

const gateway = await FlowGateway.make(4096);
const { namespace } = gateway;
const table = tableName(gateway.pins.instance);

/** Veths under the names of a tenant's devices: this kernel may have no VRF and no GRE. */
function addDevices(key: number): void {
  namespace.ip("link", "add", `xvrf${key}`, "type", "veth", "peer", "name", `xgre${key}`);
  for (const device of [`xvrf${key}`, `xgre${key}`]) namespace.ip("link", "set", device, "up");
}

/** The tenant's routes, as xgw makes those of a gre tunnel. */
function addRoute(to: string, via: string, tenant = user1): void {
  const way = ["via", via, "dev", `xgre${tenant.key}`, "onlink"];
  namespace.ip("route", "replace", to, ...way, "table", `${100_000 + tenant.id}`, "protocol", "201");
}

/** Sets of xgw's table, with elements as if packets or xgw had made them. */
function nft(declarations: readonly string[], ...elements: readonly (readonly [set: string, element: string])[]): void {
  const added = elements.map(([set, element]) => `add element ip ${table} ${set} { ${element} }`);
  const input = [`table ip ${table} {`, ...declarations, "}", ...added].join("\n");
  execFileSync("ip", ["netns", "exec", namespace.name, "nft", "-f", "-"], { input: `${input}\n` });
}

const counters = (name: string, type: string) => `set ${name} { typeof ${type}; size 65535; flags dynamic; counter; }`;
const dnatTo = "map dnat_to { typeof ct zone . ip daddr : ip daddr; }";

const text = (...words: string[]) => gateway.xgw("tenant", ...words).stdout.replaceAll(gateway.config, "xgw.yaml");
const report = (...words: string[]): TenantReport => tenantReportSchema.parse(gateway.json("tenant", ...words)[0]);
const list = () => tenantListSchema.parse(gateway.json("tenant")[0]);

addDevices(user1.key);
addDevices(user2.key);
namespace.ip("link", "set", `xgre${user1.key}`, "mtu", "1458");

beforeEach(() => {
  gateway.clear();
  gateway.setForwarded(9000, 0, 0);
  for (const { key } of [user1, user2])
    for (const device of [`xvrf${key}`, `xgre${key}`]) namespace.ip("link", "set", device, "up");
  addRoute("10.0.0.7/32", "172.168.0.11");
  addRoute("1.1.1.7/32", "172.168.0.7");
  namespace.exec("nft", "flush ruleset");
});

describe("of one tenant", () => {
  it("shows the devices, and that one is down", () => {
    namespace.ip("link", "set", "xgre1000", "down");
    expect(report("user1").devices).toEqual([
      { name: "xvrf1000", isUp: true, mtu: 1500 },
      { name: "xgre1000", isUp: false, mtu: 1458 },
    ]);
  });

  it("shows routes of the config that the kernel lacks, and others that it has", () => {
    namespace.ip("route", "del", "1.1.1.7/32", "table", "100001");
    addRoute("10.9.0.0/16", "172.168.0.99");
    const routes = report("user1").routes;
    namespace.ip("route", "del", "10.9.0.0/16", "table", "100001");
    expect(routes).toEqual([
      { to: "10.0.0.7/32", via: "172.168.0.11", device: "xgre1000", isInKernel: true, isInConfig: true },
      { to: "1.1.1.7/32", via: "172.168.0.7", isInKernel: false, isInConfig: true },
      { to: "10.9.0.0/16", via: "172.168.0.99", device: "xgre1000", isInKernel: true, isInConfig: false },
    ]);
  });

  it("shows NAT as the nft maps have it, and what the config has beside", () => {
    nft(
      [
        dnatTo,
        "map forward_to { typeof ct zone . ip daddr . ip protocol . th dport : ip daddr . th dport; }",
        "map forward_range0 { typeof ct zone . ip daddr . ip protocol . th dport : ip daddr; flags interval; }",
        "map shared_to0 { typeof ct zone . ip saddr : ip saddr; flags interval; }",
      ],
      ["dnat_to", "11 . 2.2.2.99 : 10.0.0.9, 12 . 2.2.2.12 : 10.0.0.7"],
      ["forward_to", "11 . 2.2.2.50 . 6 . 8080 : 10.0.0.8 . 80, 11 . 2.2.2.50 . 6 . 8081 : 10.0.0.8 . 81"],
      ["forward_range0", "11 . 2.2.2.50 . 17 . 5000-5009 : 10.0.0.8"],
      ["shared_to0", "11 . 10.0.0.0-10.0.0.255 : 2.2.2.50, 12 . 10.0.0.0-10.0.0.255 : 2.2.2.51"],
    );
    const foreign = { isInKernel: true, isInConfig: false };
    const at = { address: "2.2.2.50", to: "10.0.0.8" };
    expect(report("user1").nat).toEqual({
      publicIps: [
        { address: "2.2.2.11", to: "10.0.0.7", isInKernel: false, isInConfig: true },
        { address: "2.2.2.99", to: "10.0.0.9", ...foreign },
      ],
      portForwards: [
        { ...at, protocol: "tcp", port: { from: 8080, to: 8081 }, toPort: 80, ...foreign },
        { ...at, protocol: "udp", port: { from: 5000, to: 5009 }, toPort: 5000, ...foreign },
      ],
      sources: [{ from: "10.0.0.0-10.0.0.255", address: "2.2.2.50", ...foreign }],
    });
  });

  it("shows what each rule has let through, with its place in the config", () => {
    gateway.setForwarded(9000, 12, 3400);
    const [first, second] = report("user1").policy.inbound.rules;
    expect(first).toMatchObject({
      ...{ rule: 0, name: "allow tcp 22", place: { file: gateway.config, line: 26 } },
      xdp: { packets: 12, bytes: 3400 },
    });
    expect(second).toMatchObject({ rule: 1, name: "allow udp 5000", xdp: { packets: 0, bytes: 0 } });
  });

  it("adds up what XDP and the nft rules have denied by a rule, each for itself", () => {
    const denying = (deniedMark + outboundMark + 1) >>> 0;
    nft(
      [counters("denied_outbound", "ct zone . ct mark")],
      ["denied_outbound", `${user1.zone} . ${denying} counter packets 5 bytes 300`],
      ["denied_outbound", `${user2.zone} . ${denying} counter packets 9 bytes 900`],
    );
    gateway.setDenied(user1.id, denying, 7, 420);
    const [rule] = report("user1").policy.outbound.rules;
    gateway.forgetDenied(user1.id, denying);
    expect(rule).toMatchObject({
      ...{ rule: 0, name: "deny tcp 22" },
      denied: { xdp: { packets: 7, bytes: 420 }, nft: { packets: 5, bytes: 300 } },
    });
  });

  it("counts what no rule matched", () => {
    nft(
      [counters("denied_inbound", "ct zone . ct mark")],
      ["denied_inbound", `${user1.zone} . 0 counter packets 3 bytes 180`],
    );
    const { policy, drops } = report("user1");
    expect(policy.inbound.unmatched.nft).toEqual({ packets: 3, bytes: 180 });
    expect(drops).toEqual([{ by: "nft", reason: "policy", packets: 3, bytes: 180 }]);
  });

  it("shows drops by reason, of XDP and of the nft rules", () => {
    nft(
      [counters("spoofed", "iifname")],
      ["spoofed", '"xgre1000" counter packets 2 bytes 168'],
      ["spoofed", '"xgre2000" counter packets 1 bytes 84'],
    );
    gateway.setReason(user1.id, "stranger", 4, 400);
    const { drops } = report("user1");
    gateway.setReason(user1.id, "stranger", 0, 0);
    expect(drops).toEqual([
      { by: "xdp", reason: "stranger", packets: 4, bytes: 400 },
      { by: "nft", reason: "spoofed", packets: 2, bytes: 168 },
    ]);
  });

  it("shows limits and use, and what found no place", () => {
    gateway.setLimits(user1.id, { sessions: 500, flows: 100 });
    gateway.setUsage(user1.id, 12);
    gateway.setLosses(user1.id, { flowsRefused: 3 });
    const { limits, losses } = report("user1");
    expect(limits).toContainEqual({ resource: "flows", used: 12, limit: 100 });
    expect(limits).toContainEqual({ resource: "sessions", limit: 500 });
    expect(losses.flowsRefused).toBe(3);
  });

  it("counts its connections by the tier of the slower direction, and nobody else's", () => {
    const connection = (options: EstablishOptions) => {
      const made = connectionOf(options);
      track(namespace, made, { status: "SEEN_REPLY,ASSURED" });
      return made;
    };
    gateway.teach(connection({ client: { address: "1.1.1.1", port: 4001 } }));
    const half = connection({ client: { address: "1.1.1.2", port: 4002 } });
    gateway.put([[half.original, half.original.flow(gateway.template(half.original))]]);
    connection({ client: { address: "1.1.1.3", port: 4003 }, protocol: "udp" });
    gateway.teach(connection({ tenant: user2 }));
    expect(report("user1").connections).toEqual({ xdp: 1, flowtable: 0, stack: 2 });
  });

  it("tells of changes, and of one that has not come to its end", () => {
    gateway.setGeneration(user1.id, 7);
    expect(report("user1").changes).toEqual({ decidedAnew: 3, isUnfinished: true });
  });

  it("is found by its GRE key", () => {
    expect(report("2000")).toMatchObject({ name: "user2", key: 2000, id: user2.id, zone: user2.zone });
  });

  it("reads as text at 80 columns", () => {
    gateway.setForwarded(9000, 1200, 3_400_000);
    gateway.setLimits(user1.id, { sessions: 100_000, newPerSecond: 5000 });
    gateway.setUsage(user1.id, 2);
    gateway.setLosses(user1.id, { flowsRefused: 3 });
    gateway.setGeneration(user1.id, 2);
    gateway.setReason(user1.id, "stranger", 4, 400);
    const connection = connectionOf({});
    track(namespace, connection, { status: "SEEN_REPLY,ASSURED" });
    namespace.ip("route", "del", "1.1.1.7/32", "table", "100001");
    nft([dnatTo], ["dnat_to", "11 . 2.2.2.11 : 10.0.0.7"]);
    const shown = text("user1");
    gateway.setReason(user1.id, "stranger", 0, 0);
    expect(shown).toBe(wholeText);
    expect(Math.max(...shown.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

const wholeText = `user1: key 1000, id 1, conntrack zone 11 (xgw.yaml:16)
devices
  xvrf1000 up, MTU 1500
  xgre1000 up, MTU 1458
routes
  10.0.0.7/32 via 172.168.0.11 by xgre1000
  1.1.1.7/32 via 172.168.0.7, not in the kernel
NAT
  2.2.2.11 is 10.0.0.7, both ways
policy, packets                                XDP FLOWTABLE     STACK    DENIED
  inbound:0 allow tcp 22                      1200         0         0         0
    xgw.yaml:26
  inbound:1 allow udp 5000                       0         0         0         0
    xgw.yaml:27
  inbound:2 allow icmp                           0         0         0         0
    xgw.yaml:28
  inbound without a match                                                      0
  outbound:0 deny tcp 22                         0         0         0         0
    xgw.yaml:30
  outbound:1 allow any                           0         0         0         0
    xgw.yaml:31
  outbound without a match                                                     0
  without a rule                                 0         0         0
limits                         IN USE   LIMIT
  sessions                             100000
  new connections a second               5000
  flows, lines of XDP's table       2       -
  header templates                  0       -
  rules that are counted            0       -
  events a second                           -
  neighbours                        0       -
  flows that found no place: 3
connections: XDP 0, flowtable 0, stack 1
packets forwarded: XDP 1200, flowtable 0, stack 0; 3.4 MB
drops
  XDP  stranger                        4 packets      400 B
changes: all flows decided anew once since the maps were made
`;

describe("of all", () => {
  it("has a line each", () => {
    gateway.setLimits(user1.id, { sessions: 500 });
    gateway.setUsage(user1.id, 12);
    expect(list()).toMatchObject([
      { name: "user1", key: 1000, sessionsLimit: 500, flows: 12, devices: [{ isUp: true }, { isUp: true, mtu: 1458 }] },
      { name: "user2", key: 2000, sessionsLimit: 0, flows: 0 },
    ]);
  });

  it("reads as text, and says which device is not as it should be", () => {
    gateway.setLimits(user1.id, { sessions: 100_000 });
    namespace.ip("link", "set", "xgre2000", "down");
    expect(text()).toBe(`TENANT  DEVICES       KEY   MTU  SESSIONS/LIMIT  FLOWS
user1   up           1000  1458        ?/100000      0
user2   tunnel down  2000  1500             ?/-      0
`);
  });
});

describe("what cannot be", () => {
  it("names the tenant that was most likely meant", () => {
    expect(gateway.xgw("tenant", "usr1")).toEqual({
      code: 2,
      stdout: "",
      stderr: 'xgw: there is no tenant "usr1"; did you mean user1?\n',
    });
  });

  it("says so of a tenant that is in the config only", () => {
    const config = gateway.configText();
    writeFileSync(gateway.config, `${config}\n  - { name: user3, key: 3000, addresses: [10.3.0.1/24] }\n`);
    const { code, stderr } = gateway.xgw("tenant", "user3");
    writeFileSync(gateway.config, config);
    expect([code, stderr]).toEqual([
      2,
      "xgw: tenant user3 is in the config, and not in force; see `xgw plan`, and run `xgw apply`\n",
    ]);
  });

  it("says so of what is in force of a tenant that the config has no more", () => {
    nft([dnatTo], ["dnat_to", "12 . 2.2.2.12 : 10.0.0.7"]);
    addRoute("10.0.0.7/32", "172.168.0.12", user2);
    const config = gateway.configText();
    writeFileSync(gateway.config, config.slice(0, config.indexOf("  - name: user2")));
    const { name, nat, routes, place } = report("2000");
    writeFileSync(gateway.config, config);
    expect([name, place, nat.publicIps, routes]).toMatchObject([
      "key 2000",
      undefined,
      [{ address: "2.2.2.12", isInKernel: true, isInConfig: false }],
      [{ to: "10.0.0.7/32", isInKernel: true, isInConfig: false }],
    ]);
  });

  it("shows rules by number, and what is in force, where the config is refused", () => {
    gateway.setForwarded(9000, 12, 3400);
    nft([dnatTo], ["dnat_to", "11 . 2.2.2.11 : 10.0.0.7"]);
    const config = gateway.configText();
    writeFileSync(gateway.config, config.replace("apiVersion", "apiVersions"));
    const { nat, policy, routes } = report("1000", "--instance", gateway.pins.instance);
    writeFileSync(gateway.config, config);
    expect(nat.publicIps).toEqual([{ address: "2.2.2.11", to: "10.0.0.7", isInKernel: true }]);
    expect(policy.inbound.rules).toEqual([expect.objectContaining({ rule: 0, xdp: { packets: 12, bytes: 3400 } })]);
    expect(policy.inbound.rules[0]).not.toHaveProperty("name");
    expect(routes[0]).not.toHaveProperty("isInConfig");
  });
});
