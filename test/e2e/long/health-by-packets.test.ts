// What `xgw doctor` calls critical is what stops packets, and what it says mends it: with real packets, no daemon runs.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Health } from "../../../src/doctor.js";
import { tryRun } from "../../../vm/lab/netns.js";
import { udp } from "../../bpf/support/packet.js";
import { head, packetOf, SidedGateway, told } from "../support/sided-gateway.js";

const tenants = `
tenants:
  - name: user1
    key: 1000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/24, via: 172.168.0.11 }]
    policy: { inbound: [{ allow: any }], outbound: [{ allow: any }] }
    publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]
`;
const far = "lladdr 02:00:00:00:00:fe";
const router = "203.0.113.254";
const wayOut = ["8.8.8.8", "eth1: 2.2.2.11 > 8.8.8.8"] as const;

let site: SidedGateway;
let port = 20_000;

beforeAll(async () => {
  // Of the machine's first network namespace, where alone it can be set: else it is found to be too small.
  await tryRun("modprobe", ["-q", "nf_conntrack"]);
  await tryRun("sysctl", [
    "-qw",
    "net.netfilter.nf_conntrack_max=1048576",
    "net.netfilter.nf_conntrack_buckets=262144",
  ]);
  site = await SidedGateway.start({
    config: head + tenants,
    setUp: [
      "addr add 203.0.113.1/24 dev eth1",
      "addr add 172.168.0.1/24 dev eth0",
      `neigh replace ${router} ${far} dev eth1 nud permanent`,
      `neigh replace 172.168.0.11 ${far} dev eth0 nud permanent`,
      `route add default via ${router}`,
    ],
    neighbours: { 1000: ["10.0.0.7"] },
  });
  await site.sysctl("net.ipv4.conf.all.rp_filter=0");
});
afterAll(() => site[Symbol.asyncDispose]());

/** What becomes of a new connection of a tenant's host to the outside. */
async function sendOut(): Promise<string[]> {
  const inner = packetOf("10.0.0.7", wayOut[0], udp({ sport: ++port, dport: 5000, payload: "new" }));
  return told(await site.send("eth0", site.frame("eth0", site.tunnelled(1000, "172.168.0.11", inner))));
}

async function diagnosis(): Promise<Health> {
  return JSON.parse((await site.xgw("doctor", "-j")).stdout) as Health;
}

const found = async () =>
  (await diagnosis()).findings.filter(({ severity }) => severity !== "note").map(({ id }) => id);

/** A step of the test, by a shell in the gateway's namespace. */
const shell = (command: string) => site.gateway.run("sh", "-c", command);

describe("a gateway that is well", () => {
  it("has no finding but notes, ends with 0, and carries a tenant's packet", async () => {
    const { code, stdout } = await site.xgw("status", "--check");
    expect({ code, stdout: stdout.trim() }).toEqual({ code: 0, stdout: expect.stringMatching(/^OK sides: /) });
    expect(await sendOut()).toEqual([wayOut[1]]);
  });
});

describe("what is found stops packets, and its remedy lets them go on:", () => {
  const undo: string[] = [];
  afterEach(async () => {
    for (const command of undo.splice(0).reverse()) await shell(command);
    await site.apply();
  });

  it.each([
    {
      what: "a forward chain that drops by default, as Docker's",
      harm: "nft 'table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }'",
      back: "nft delete table ip filter",
      id: "foreign_drop",
    },
    {
      what: "a firewall that lets no GRE in",
      harm: "nft 'table inet wall { chain input { type filter hook input priority filter; policy drop; tcp dport 22 accept; }; }'",
      back: "nft delete table inet wall",
      id: "foreign_drop",
    },
    {
      what: "an underlay.address that has gone",
      harm: "ip address del 172.168.0.1/24 dev eth0",
      back: "ip address replace 172.168.0.1/24 dev eth0",
      id: "underlay_address_missing",
    },
  ])("$what", async ({ harm, back, id }) => {
    await shell(harm);
    undo.push(back);
    expect(await sendOut()).toEqual([]);
    const { findings } = await diagnosis();
    const finding = findings.find((one) => one.id === id);
    expect(finding, `found: ${findings.map((one) => one.id).join(", ")}`).toBeDefined();
    await shell(finding?.remedy ?? "false");
    await site.gateway.ip(`neigh replace 172.168.0.11 ${far} dev eth0 nud permanent`); // goes with the last address
    expect(await found()).not.toContain(id);
    expect(await sendOut()).toEqual([wayOut[1]]);
  });
});

describe("an uplink that is down", () => {
  afterAll(async () => {
    await site.gateway.ip("link set eth1 up", `neigh replace ${router} ${far} dev eth1 nud permanent`);
    await site.gateway.tryRun("ip", "route", "replace", "default", "via", router);
    await site.apply();
  });

  it("is critical, and status has the figures all the same", async () => {
    await site.gateway.ip("link set eth1 down");
    expect(await found()).toEqual(expect.arrayContaining(["device_down", "cannot_compare"]));
    const status = await site.xgw("status");
    expect({ code: status.code, stdout: status.stdout, stderr: status.stderr }).toEqual({
      code: 3,
      stdout: expect.stringMatching(/^user1 +1000 /m),
      stderr: expect.stringContaining("the uplink device eth1 is down"),
    });
  });
});

describe("rules that somebody has flushed", () => {
  it("leave the boundary open, which is critical until xgw is applied", async () => {
    await site.gateway.run("nft", "flush", "ruleset");
    expect(await found()).toEqual(expect.arrayContaining(["boundary_open", "not_in_step"]));
    expect((await site.xgw("status", "--check")).code).toBe(2);
    await site.apply();
    expect((await site.xgw("status", "--check")).code).toBe(0);
  });
});

describe("XDP that somebody detaches", () => {
  it("is critical by link and by netlink, and apply attaches it again", async () => {
    await site.gateway.run("bpftool", "link", "detach", "pinned", "/sys/fs/bpf/xgw/sides/links/xdp_eth0");
    expect(await found()).toContain("xdp_detached");
    expect((await site.xgw("status")).stdout).toContain("XDP on eth1 (native), none on eth0");
    await site.apply();
    expect(await found()).not.toContain("xdp_detached");
  });
});
