// What each check finds, and what it leaves alone.
import { describe, expect, it } from "vitest";
import { noLosses } from "../../../src/datapath/shares.js";
import { chain, counters, desired, found, link, named, nic, nicName, well } from "./fixture.js";

it("a gateway that is well has nothing to be said of it", () => {
  expect(found({})).toEqual([]);
});

describe("devices", () => {
  it("one that is not there is critical, and nothing more is said of it", () => {
    expect(named({ links: [], nics: [], addresses: well.addresses })).toContain(`critical device_missing ${nicName}`);
  });

  it("one that is down is critical, and says what it is to the gateway", () => {
    const [finding] = found({ links: [link(nicName, { isUp: false })] });
    expect(finding).toMatchObject({
      id: "device_down",
      severity: "critical",
      what: `${nicName}, which is the underlay, is down`,
      remedy: `ip link set dev ${nicName} up`,
    });
  });

  it("one that is up without a carrier is critical", () => {
    expect(named({ links: [link(nicName, { lacksCarrier: true })] })).toEqual([`critical no_carrier ${nicName}`]);
  });
});

describe("XDP", () => {
  const without = { ...nic, progId: undefined, mode: undefined, isOurs: false };

  it("that somebody has detached is critical, though the link is still pinned", () => {
    const [finding] = found({ nics: [without] });
    expect(finding).toMatchObject({ id: "xdp_detached", what: `XDP has been detached from NIC ${nicName}` });
  });

  it("that was never attached is not called detached by somebody", () => {
    const [finding] = found({ nics: [{ ...without, hasLink: false }] });
    expect(finding?.what).toBe(`XDP is not attached to NIC ${nicName}`);
  });

  it("of somebody else is critical, with the number of the program", () => {
    const [finding] = found({ nics: [{ ...nic, progId: 42, isOurs: false }] });
    expect(finding).toMatchObject({ id: "xdp_foreign", evidence: "bpftool prog show id 42" });
  });

  it("in another mode than the config's is a warning", () => {
    expect(named({ nics: [{ ...nic, mode: "generic" }] })).toEqual([`warning xdp_other_mode ${nicName}`]);
  });

  it("that is not attached at an MTU of 9000 has a likely cause, with the figure", () => {
    const seen = found({ nics: [without], links: [link(nicName, { mtu: 9000 })] });
    expect(seen.find(({ id }) => id === "mtu_beyond_xdp")?.what).toContain("an MTU of 9000");
  });

  it("that is attached at an MTU of 9000 is fine: the driver takes it", () => {
    expect(found({ links: [link(nicName, { mtu: 9000 })] })).toEqual([]);
  });

  it("is refused by a veth for its peer's MTU", () => {
    const links = [link(nicName, { kind: "veth", below: "peer0" }), link("peer0", { kind: "veth", mtu: 9000 })];
    const seen = found({ nics: [without], links });
    expect(seen.find(({ id }) => id === "mtu_beyond_xdp")?.remedy).toMatch(/^ip link set dev peer0 mtu 3498/);
  });
});

describe("what joins packets before XDP sees them", () => {
  const having = (feature: string) => ({
    ...nic,
    features: { changeable: new Set<string>(), active: new Set([feature]) },
  });
  const generic = { ...desired, nics: [{ name: nicName, xdp: "generic" as const }] };

  it("LRO is a warning, with the command that turns it off", () => {
    const [finding] = found({ nics: [having("rx-lro")] });
    expect(finding).toMatchObject({ id: "lro_on", severity: "warning", remedy: `ethtool -K ${nicName} lro off` });
  });

  it("GRO in hardware is worth knowing", () => {
    expect(named({ nics: [having("rx-gro-hw")] })).toEqual([`note hardware_gro_on ${nicName}`]);
  });

  it("GRO is worth knowing in front of generic XDP, and nothing in front of native", () => {
    expect(named({ nics: [having("rx-gro")] })).toEqual([]);
    expect(named({ desired: generic, nics: [{ ...having("rx-gro"), mode: "generic" }] })).toEqual([
      `note gro_before_generic_xdp ${nicName}`,
    ]);
  });
});

describe("interrupts", () => {
  const onCpus = (...cpus: string[]) => ({ ...nic, interrupts: cpus.map((cpu, n) => ({ irq: 30 + n, cpus: cpu })) });

  it("of all queues on one CPU are a warning", () => {
    const [finding] = found({ nics: [onCpus("0", "0", "0")] });
    expect(finding).toMatchObject({ id: "interrupts_on_one_cpu", why: expect.stringContaining("3 of 4 CPUs") });
  });

  it.each([
    ["on two CPUs", ["0", "1"], 4],
    ["of a single queue", ["0"], 4],
    ["that may go to any of several", ["0-3", "0-3"], 4],
    ["of a machine with one CPU", ["0", "0"], 1],
  ])("%s are fine", (_, cpus, count) => {
    expect(named({ nics: [onCpus(...cpus)], host: { ...well.host, cpus: count } })).toEqual([]);
  });
});

describe("addresses", () => {
  const own = (address: string, device = "eth9", prefixLength = 24) => ({ device, address, prefixLength });
  const beside = (address: string) => ({
    links: [...well.links, link("eth9", { ifindex: 9 })],
    addresses: [...well.addresses, own(address)],
  });
  const [tenant] = desired.tenants;

  it("the underlay's on no device is critical, and the ones that there are are named", () => {
    const [finding] = found({ addresses: [own("172.168.0.99", nicName)] });
    expect(finding).toMatchObject({
      id: "underlay_address_missing",
      what: expect.stringContaining(`${nicName} has 172.168.0.99/24`),
      remedy: expect.stringContaining(`ip address add ${desired.underlay.address}/24 dev ${nicName}`),
    });
  });

  it("the underlay's inside a VRF is not the machine's", () => {
    const links = [link("blue", { kind: "vrf", vrf: { routeTable: 7 } }), link(nicName, { master: "blue" })];
    expect(named({ links })).toContain(`critical underlay_address_missing ${desired.underlay.address}`);
  });

  it("one that is a tunnel's far end is critical", () => {
    const [peer = ""] = tenant?.peers ?? [];
    expect(named(beside(peer))).toEqual([`critical endpoint_is_own eth9 ${peer}`]);
  });

  it("one that is a tenant's public address is a warning, and names the tenant", () => {
    const [{ address = "" } = {}] = tenant?.publicIps ?? [];
    const [finding] = found(beside(address));
    expect(finding).toMatchObject({
      id: "public_address_is_own",
      what: expect.stringContaining(`of tenant ${tenant?.name}`),
    });
  });

  it("a network that overlaps with tenants' is a note, and names them", () => {
    const [finding] = found(beside("10.0.0.77"));
    expect(finding).toMatchObject({
      id: "address_overlaps",
      severity: "note",
      what: expect.stringMatching(/10\.0\.0\.77\/24 on eth9 overlaps with one of tenants user1, user2/),
    });
  });

  it("a network of its own beside theirs is fine", () => {
    expect(named(beside("192.0.2.1"))).toEqual([]);
  });
});

describe("other people's packet filters", () => {
  const dropping = (...chains: ReturnType<typeof chain>[]) => named({ droppingChains: chains });

  it("a forward chain that drops by default is critical, and the rule that cures it is said", () => {
    const [finding] = found({ droppingChains: [chain()] });
    expect(finding).toMatchObject({
      id: "foreign_drop",
      severity: "critical",
      evidence: "nft list chain ip filter FORWARD",
      remedy: expect.stringMatching(/^nft insert rule ip filter FORWARD iifname "xvrf\*" accept/),
    });
  });

  it("one of which a rule names tenants' devices is fine", () => {
    expect(dropping(chain({ rules: Buffer.from("....xvrf....") }))).toEqual([]);
  });

  it("an input chain that drops by default is a warning, for a set may let GRE pass", () => {
    expect(dropping(chain({ chain: "INPUT", hook: "input" }))).toEqual(["warning foreign_drop ip filter INPUT"]);
  });

  it.each([
    ["GRE", Buffer.from([8, 0, 3, 0, 5, 0, 1, 0, 47, 0, 0, 0])],
    ["the underlay's device", Buffer.from(`${nicName}\0`)],
  ])("an input chain of which a rule names %s is fine", (_, rules) => {
    expect(dropping(chain({ chain: "INPUT", hook: "input", rules }))).toEqual([]);
  });

  it("those of an instance of xgw are its own affair", () => {
    expect(dropping(chain({ table: "xgw_other", chain: "forward" }))).toEqual([]);
  });

  it("a filter table of iptables-legacy is a note, for nobody can see what it does", () => {
    expect(named({ legacyTables: ["nat", "filter"] })).toEqual(["note legacy_filter"]);
    expect(named({ legacyTables: ["nat"] })).toEqual([]);
  });
});

describe("tables", () => {
  const { conntrack, neighbours } = well;
  const entries = (count: number) => named({ conntrack: { ...conntrack, entries: count } });

  it("conntrack's is fine up to 80 %, a warning up to 95 %, then critical", () => {
    expect([799, 800, 949, 950].map(entries)).toEqual([
      [],
      ["warning conntrack_full"],
      ["warning conntrack_full"],
      ["critical conntrack_full"],
    ]);
  });

  it("the neighbours' is a warning when it is nearly full", () => {
    expect(named({ neighbours: { ...neighbours, entries: 900, max: 1000, overflows: 0 } })).toEqual([
      "warning neighbours_full",
    ]);
  });

  it.each(["flows", "templates", "rules"] as const)(
    "XDP's of %s is a warning at most, for the kernel takes over",
    (name) => {
      expect(named({ tables: [{ name, used: 1000, places: 1000 }] })).toEqual([`warning ${name}_full`]);
    },
  );

  it("one of which nothing is known is not full", () => {
    expect(named({ tables: [{ name: "flows", used: 0, places: 0 }], neighbours: undefined })).toEqual([]);
  });
});

describe("what is counted", () => {
  const unsent = (packets: number) => ({ ...counters, unsent: new Map([[nicName, packets]]) });

  it("is critical while XDP's packets are not taken, with how many in which time", () => {
    const [finding] = found({ counters: unsent(25), earlier: { ...unsent(5), atMs: 40_000 } });
    expect(finding).toMatchObject({
      id: "xdp_unsent",
      severity: "critical",
      what: expect.stringMatching(/^20 packets .* in the last 60 s$/),
    });
  });

  it("is a note once that is over", () => {
    expect(named({ counters: unsent(25), earlier: unsent(25) })).toEqual([`note xdp_unsent ${nicName}`]);
  });

  it("is a note as long as there was one look only", () => {
    expect(named({ counters: unsent(25), earlier: undefined })).toEqual([`note xdp_unsent ${nicName}`]);
  });

  it("begins anew with programs that are loaded anew", () => {
    expect(named({ counters: unsent(3), earlier: unsent(25) })).toEqual([`note xdp_unsent ${nicName}`]);
  });

  it("is critical while conntrack or the neighbour table has no room", () => {
    expect(named({ counters: { ...counters, conntrackDrops: 4, neighbourOverflows: 2 } })).toEqual([
      "critical conntrack_drops",
      "critical neighbour_overflows",
    ]);
  });

  const lost = (name: keyof typeof noLosses) => ({ ...counters, losses: { ...noLosses, [name]: 3 } });

  it("is a warning while flows find no place, and nothing once they do", () => {
    expect(named({ counters: lost("flowsRefused") })).toEqual(["warning places_refused flowsRefused"]);
    expect(named({ counters: lost("flowsRefused"), earlier: lost("flowsRefused") })).toEqual([]);
  });

  it("is a note of events that are lost, going on or not, without a figure that changes", () => {
    const [now] = found({ counters: lost("eventsLost") });
    const [later] = found({ counters: lost("eventsLost"), earlier: lost("eventsLost") });
    expect([now?.id, now?.what]).toEqual(["events_lost", later?.what]);
  });
});

describe("the machine", () => {
  it.each([
    ["a kernel that is too old", { tooOld: "Linux 6.1 is too old" }, "critical kernel_too_old"],
    ["a kernel without VRFs", { missing: ["VRF devices (CONFIG_NET_VRF)"] }, "critical kernel_lacks"],
    ["a machine without bpffs", { hasBpffs: false }, "critical bpffs_missing /sys/fs/bpf"],
  ])("%s is critical", (_, parts, wanted) => {
    expect(named({ host: { ...well.host, ...parts } })).toEqual([wanted]);
  });
});

describe("the comparison", () => {
  it("with steps pending is a warning", () => {
    const [finding] = found({ comparison: { pending: 158, isBoundaryOpen: false } });
    expect(finding).toMatchObject({
      id: "not_in_step",
      severity: "warning",
      what: expect.stringContaining("158 steps"),
    });
  });

  it("with the rules amiss is critical", () => {
    expect(named({ comparison: { pending: 1, isBoundaryOpen: true } })).toEqual([
      "critical boundary_open",
      "warning not_in_step",
    ]);
  });

  it("that cannot be made is critical, in the words of the refusal", () => {
    const [finding] = found({ comparison: { failure: { message: "eth0 is down", remedy: "set it up" } } });
    expect(finding).toMatchObject({ id: "cannot_compare", what: "eth0 is down", remedy: "xgw apply # set it up" });
  });
});

describe("the daemon", () => {
  it("that there is none is a note", () => {
    expect(named({ daemon: { state: "none" } })).toEqual(["note no_daemon"]);
  });

  it("that does not answer is not none, and who it is is said", () => {
    const [finding] = found({ daemon: { state: "busy", holder: "process 12 (xgw run)" } });
    expect(finding).toMatchObject({
      id: "daemon_busy",
      severity: "warning",
      what: expect.stringContaining("process 12"),
    });
  });

  it("that has refused the config says what is wrong with it", () => {
    const [finding] = found({ daemon: { state: "answers", isConfigRefused: true, problems: ["xgw.yaml:3:1: no"] } });
    expect(finding).toMatchObject({ id: "config_refused", what: expect.stringContaining("xgw.yaml:3:1: no") });
  });
});

it("what plan warns of is found, too, and the worst stands first", () => {
  const inFront = {
    ...found({ comparison: { pending: 1, isBoundaryOpen: true } })[0],
    id: "rule_in_front",
    subject: "ipv4 0",
  };
  const seen = named({
    inTheWay: [inFront as (typeof well.inTheWay)[number]],
    daemon: { state: "none" },
    legacyTables: ["filter"],
    links: [link(nicName, { isUp: false })],
  });
  expect(seen).toEqual([
    `critical device_down ${nicName}`,
    "critical rule_in_front ipv4 0",
    "note legacy_filter",
    "note no_daemon",
  ]);
});
