// The gateway's own handling of maps, programs and attachments, under an instance name of the test's.
import { existsSync, readdirSync, unlinkSync } from "node:fs";
import { BpfLink, BpfMap, BpfObject, BpfProgram, inNetNamespace, possibleCpus, queryXdp, setXdp } from "libbpf-ts";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { readU32, u32 } from "../../src/datapath/layout.js";
import { readHookPrograms } from "../../src/kernel/netfilter-hooks.js";
import type { Desired } from "../../src/model/desired.js";
import { noLimits } from "../../src/model/shares.js";
import { type Attachment, baseProgramNames, type Entry } from "../../src/plan/state.js";
import { datapathModules } from "./support/built.js";
import { objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";

const { objects, load, move, programs, entries, generations, counters, accounting, attachments, usage } =
  datapathModules;
const instance = `test${process.pid}`;
const pins = new datapathModules.pins.Pins(instance);
const constants = {
  underlayAddress: "172.168.0.1",
  netnsInode: 1,
  countsSessions: false,
  flows: 4096,
};
const fingerprint = objects.fingerprintOf(constants);

const namespace = makeNamespace();
const [nic, other] = namespace.veth;
const names = {
  indexOf: (name: string) => ({ v0: nic, v1: other, lo: 1 })[name] ?? 0,
  nameOf: (ifindex: number) =>
    new Map([
      [nic, "v0"],
      [other, "v1"],
    ]).get(ifindex) ?? `#${ifindex}`,
};
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);

function unpinAll(): void {
  inside(() => {
    for (const name of pins.links()) attachments.detach(pins, name);
  });
  pins.removeAll();
}
afterEach(unpinAll);
afterAll(unpinAll);

describe("a fingerprint", () => {
  it("is the same for the same programs and constants", () => {
    expect(objects.fingerprintOf({ ...constants })).toBe(fingerprint);
  });

  it("is another one for other constants", () => {
    expect(objects.fingerprintOf({ ...constants, underlayAddress: "172.168.0.2" })).not.toBe(fingerprint);
  });

  it("is 12 hex digits", () => {
    expect(fingerprint).toMatch(/^[0-9a-f]{12}$/);
  });
});

describe("loading", () => {
  beforeEach(() => load.loadDatapath(pins, fingerprint, constants));

  it("pins every map and program under the instance", () => {
    const maps = [
      "bond_members",
      "buckets",
      "conntrack",
      "denials",
      "destinations",
      "encap_returned",
      "encap_usage",
      "encaps",
      "encaps_taken",
      "endpoints",
      "event_usage",
      "events",
      "flow_locks",
      "flow_usage",
      "flows",
      "fragment_levels",
      "generations",
      "limits",
      "listeners",
      "losses",
      "neighbour_counts",
      "neighbour_macs",
      "neighbours",
      "nic_buckets",
      "nic_macs",
      "nics",
      "peers",
      "policy_networks",
      "policy_services",
      "public_ips",
      "reason_stats",
      "refusals",
      "rule_returned",
      "rule_stats",
      "rule_usage",
      "rules",
      "session_base",
      "session_events",
      "sessions_settled",
      "settings",
    ];
    expect({
      maps: readdirSync(`${pins.root}/maps`).sort(),
      fingerprints: pins.fingerprints(),
      programs: pins.programs(fingerprint),
      attachments: pins.links(),
    }).toEqual({
      maps: [...maps, "stale_neighbours", "tenants", "told", "tunnels", "unsent"],
      fingerprints: [fingerprint],
      programs: [...baseProgramNames].sort(),
      attachments: [],
    });
  });

  it("keeps the maps of a data path that is there, with what is in them", () => {
    entries.setEntries(pins, [{ map: "peers", tenant: 1, address: "172.168.0.7" }], names);
    load.loadDatapath(pins, "000000000000", { ...constants, netnsInode: 5 });
    expect([pins.fingerprints(), [...entries.observeEntries(pins, names).keys()]]).toEqual([
      ["000000000000", fingerprint].sort(),
      ["peers 1 172.168.0.7"],
    ]);
  });

  it("says which pinned maps have another shape", () => {
    expect([...move.mapsToMove(pins, constants)]).toEqual([]);
    expect([...move.mapsToMove(pins, { ...constants, flows: 8192 })]).toEqual([
      ["flows", "entries 256, now 512"],
      ["flow_locks", "with what it belongs to"],
      ["flow_usage", "with what it belongs to"],
    ]);
  });

  it("makes the one ring of an earlier version's events anew, as rings for monitors", () => {
    unlinkSync(pins.map("events"));
    using ring = BpfMap.create({ type: "ringbuf", name: "events", keySize: 0, valueSize: 0, maxEntries: 1 << 20 });
    ring.pin(pins.map("events"));
    const moving = move.mapsToMove(pins, constants);
    expect([...moving.keys()]).toEqual(["events"]);
    load.loadDatapath(pins, "000000000000", constants, new Set(moving.keys()));
    pins.commitNext();
    using rings = BpfMap.openPinned(pins.map("events"));
    expect(rings.type).toBe("array_of_maps");
  });

  it("refuses to move a map that it knows nothing of, and says what to do", () => {
    unpinAll();
    pins.prepare(fingerprint);
    using map = BpfMap.create({ type: "array", name: "flows", keySize: 4, valueSize: 8, maxEntries: 1 });
    map.pin(pins.map("flows"));
    expect(() => move.mapsToMove(pins, constants)).toThrow(
      expect.objectContaining({
        code: "XGW_FAILED",
        message: expect.stringContaining("the map flows cannot be moved"),
        remedy: expect.stringContaining("xgw teardown"),
      }),
    );
  });

  it("knows all maps by name", () => {
    expect(readdirSync(`${pins.root}/maps`).sort()).toEqual([...programs.mapNames]);
  });

  it("is not done while a program's pin is missing", () => {
    pins.removeDatapath(fingerprint);
    load.loadDatapath(pins, fingerprint, constants);
    const before = programs.isWhole(pins, fingerprint);
    unlinkSync(pins.program(fingerprint, "xgw_learn"));
    expect([before, programs.isWhole(pins, fingerprint)]).toEqual([true, false]);
  });

  it("finds a map whose pin was removed, and pins it again with what is in it", () => {
    entries.setEntries(pins, [{ map: "peers", tenant: 1, address: "172.168.0.7" }], names);
    unlinkSync(pins.map("peers"));
    expect([...programs.unpinnedMaps(pins).keys()]).toEqual(["peers"]);
    expect([...entries.observeEntries(pins, names).keys()]).toEqual(["peers 1 172.168.0.7"]);
    programs.pinAgain(pins, ["peers"]);
    expect([pins.hasMap("peers"), programs.unpinnedMaps(pins).size]).toEqual([true, 0]);
  });

  it("removes only the programs of one data path", () => {
    load.loadDatapath(pins, "000000000000", constants);
    pins.removeDatapath("000000000000");
    expect([pins.fingerprints(), pins.hasMap("flows")]).toEqual([[fingerprint], true]);
  });

  it("leaves nothing behind when everything is removed", () => {
    pins.removeAll();
    expect(existsSync(pins.root)).toBe(false);
  });
});

describe("entries", () => {
  beforeEach(() => load.loadDatapath(pins, fingerprint, constants));

  const all: readonly Entry[] = [
    {
      map: "tenants",
      key: 4_294_967_295,
      value: {
        id: 1,
        zone: 1,
        vrf: "v1",
        tunnel: "v0",
        routeTable: 100_001,
        kind: "gretap",
        mtu: 1458,
        hasPolicy: true,
      },
    },
    { map: "limits", tenant: 0, value: { ...noLimits, flows: 4_294_967_295 } },
    { map: "limits", tenant: 1, value: { ...noLimits, newPerSecond: 5000 } },
    { map: "peers", tenant: 1, address: "255.255.255.255" },
    { map: "endpoints", tenant: 1, prefix: "0.0.0.0/0", via: "172.168.0.7" },
    { map: "endpoints", tenant: 1, prefix: "10.0.0.7/32", via: "172.168.0.11" },
    { map: "tunnels", device: "v0", tenant: 1 },
    { map: "public_ips", address: "2.2.2.11", tenant: 1, device: "v0", key: 1000, mtu: 1500 },
    { map: "nics", device: "v0" },
    { map: "destinations", tenant: 1, address: "2.2.2.11", protocol: 0, port: 0, bits: 0, to: "10.0.0.7", toPort: 0 },
    {
      map: "destinations",
      tenant: 1,
      address: "2.2.2.13",
      protocol: 6,
      port: 80,
      bits: 24,
      to: "10.0.0.7",
      toPort: 8080,
    },
    { map: "policy_networks", tenant: 1, direction: "inbound", prefix: "0.0.0.0/0", page: "0123456789abcdef" },
    { map: "policy_services", page: "0123456789abcdef", protocol: 6, port: 22, bits: 24, mark: 1 },
  ];

  it("are read back as they were set", () => {
    inside(() => entries.setEntries(pins, all, names));
    const seen = inside(() => entries.observeEntries(pins, names));
    expect(new Set(seen.values())).toEqual(new Set(all));
  });

  it("are deleted one by one", () => {
    inside(() => entries.setEntries(pins, all, names));
    inside(() => entries.deleteEntries(pins, all.slice(0, 3), names));
    const seen = inside(() => entries.observeEntries(pins, names));
    expect(new Set(seen.values())).toEqual(new Set(all.slice(3)));
  });

  it("that are not there are no trouble to delete", () => {
    expect(() => inside(() => entries.deleteEntries(pins, all, names))).not.toThrow();
  });

  it("of a device that has gone show its number, by which they can be deleted", () => {
    inside(() => entries.setEntries(pins, [{ map: "tunnels", device: "#4242", tenant: 9 }], deviceNames()));
    const seen = [...inside(() => entries.observeEntries(pins, deviceNames())).values()];
    inside(() => entries.deleteEntries(pins, seen, deviceNames()));
    expect([seen, inside(() => entries.observeEntries(pins, deviceNames())).size]).toEqual([
      [{ map: "tunnels", device: "#4242", tenant: 9 }],
      0,
    ]);
  });

  const deviceNames = () => entries.deviceNames([{ ifindex: nic, name: "v0", isUp: true, mtu: 1500, group: 0 }]);
});

describe("generations", () => {
  beforeEach(() => load.loadDatapath(pins, fingerprint, constants));
  const generation = (tenant: number) => {
    using map = BpfMap.openPinned(pins.map("generations"));
    return readU32(map.get(u32(tenant)) ?? Buffer.alloc(4), 0);
  };

  it("are odd while the tenants that are named are being changed", () => {
    generations.openGenerations(pins, [1, 3]);
    expect([1, 2, 3].map(generation)).toEqual([1, 0, 1]);
  });

  it("stay open when the change begins once more", () => {
    generations.openGenerations(pins, [1]);
    generations.openGenerations(pins, [1]);
    expect(generation(1)).toBe(1);
  });

  it("are even when the change is over, and not as before", () => {
    generations.openGenerations(pins, [1, 3]);
    generations.closeGenerations(pins, [1, 3]);
    expect([1, 2, 3].map(generation)).toEqual([2, 0, 2]);
  });

  it("say which tenants' change did not come to its end", () => {
    generations.openGenerations(pins, [3]);
    expect(generations.unsettledTenants(pins, [1, 2, 3])).toEqual(new Set([3]));
  });

  it("go round at 2^32", () => {
    using map = BpfMap.openPinned(pins.map("generations"));
    map.set(u32(1), u32(0xffff_ffff));
    generations.closeGenerations(pins, [1]);
    expect(generation(1)).toBe(0);
  });
});

describe("counters", () => {
  it("are all absent before anything is loaded", () => {
    expect([counters.readReasons(pins, [0]).size, usage.readUsage(pins, "flow", [1]).size]).toEqual([0, 0]);
  });

  it("are summed over the CPUs, by reason and without the zeros", () => {
    load.loadDatapath(pins, fingerprint, constants);
    using xdp = BpfProgram.openPinned(pins.program(fingerprint, "xgw_xdp"));
    for (const length of [60, 100]) xdp.testRun({ data: Buffer.alloc(length) });
    expect(counters.readReasons(pins, [0, 1])).toEqual(
      new Map([
        [0, { host: { packets: 2, bytes: 160 } }],
        [1, {}],
      ]),
    );
  });

  it("say how many places tenants have, less what was given back", () => {
    load.loadDatapath(pins, fingerprint, constants);
    const count = (name: string, tenant: number, places: bigint) => {
      using map = BpfMap.openPinned(pins.map(name));
      map.set(u32(tenant), Buffer.from(new BigInt64Array([places]).buffer));
    };
    count("flow_usage", 8191, 7n);
    count("encap_usage", 8191, 9n);
    count("encap_returned", 8191, 4n);
    expect(usage.readUsage(pins, "flow", [1, 8191])).toEqual(
      new Map([
        [1, 0],
        [8191, 7],
      ]),
    );
    expect(usage.readUsage(pins, "encap", [8191])).toEqual(new Map([[8191, 5]]));
    const many = Array.from({ length: 8192 }, (_, tenant) => tenant);
    expect(usage.readUsage(pins, "encap", many).get(8191), "with all others").toBe(5);
  });

  it("say what tenants did not get, of few and of many", () => {
    load.loadDatapath(pins, fingerprint, constants);
    using map = BpfMap.openPinned(pins.map("losses"));
    map.set(u32(8191), Buffer.from(new BigInt64Array([1n, 2n, 3n, 4n, 5n]).buffer));
    const wanted = { flowsEvicted: 1, flowsRefused: 2, templatesRefused: 3, rulesRefused: 4, eventsLost: 5 };
    const many = Array.from({ length: 8192 }, (_, tenant) => tenant);
    expect([[8191], many].map((tenants) => usage.readLosses(pins, tenants).get(8191))).toEqual([wanted, wanted]);
  });
});

describe("what was forwarded", () => {
  const slots = { rule: 9000, again: 9001, others: 9002 };

  /** Packets and bytes of each tier on each CPU: `packets` times 1, 2 and 3. */
  function count(slot: number, packets: number): void {
    using stats = BpfMap.openPinned(pins.map("rule_stats"));
    const value = Buffer.alloc(48);
    for (const [n, tier] of [1, 2, 3].entries()) {
      value.writeBigUInt64LE(BigInt(packets * tier), n * 16);
      value.writeBigUInt64LE(BigInt(packets * tier * 100), n * 16 + 8);
    }
    stats.setPerCpu(u32(slot), new Array(possibleCpus()).fill(value));
  }
  const cpus = possibleCpus();
  const tiers = (packets: number) => {
    const tier = (times: number) => ({ packets: packets * times * cpus, bytes: packets * times * cpus * 100 });
    return { xdp: tier(1), flowtable: tier(2), stack: tier(3) };
  };

  beforeEach(() => {
    load.loadDatapath(pins, fingerprint, constants);
    using rules = BpfMap.openPinned(pins.map("rules"));
    for (const [slot, tenant, mark] of [
      [slots.rule, 5, 7],
      [slots.again, 5, 7],
      [slots.others, 6, 7],
    ] as const) {
      const word = Buffer.alloc(8);
      word.writeBigUInt64LE((BigInt(tenant) << 32n) | BigInt(mark));
      rules.set(u32(slot), word);
    }
    count(slots.rule, 1);
    count(slots.again, 10);
    count(slots.others, 100);
    count(5, 1000); // without a rule
  });

  it("is summed over the CPUs, and over a rule's slots", () => {
    expect(accounting.readForwarded(pins, [5, 6, 7])).toEqual(
      new Map([
        [
          5,
          [
            { mark: 0, tiers: tiers(1000) },
            { mark: 7, tiers: tiers(11) },
          ],
        ],
        [6, [{ mark: 7, tiers: tiers(100) }]],
        [7, []],
      ]),
    );
  });

  it("is forgotten of a tenant that goes, and of no other", async () => {
    await accounting.forgetCounts(pins, new Set([5]));
    expect(accounting.readForwarded(pins, [5, 6])).toEqual(
      new Map([
        [5, []],
        [6, [{ mark: 7, tiers: tiers(100) }]],
      ]),
    );
  });

  it("leaves its slots free when it is forgotten", async () => {
    await accounting.forgetCounts(pins, new Set([5]));
    using rules = BpfMap.openPinned(pins.map("rules"));
    const isFree = (slot: number) => rules.get(u32(slot))?.every((byte) => byte === 0);
    expect(Object.values(slots).map(isFree)).toEqual([true, true, false]);
    expect([...usage.readUsage(pins, "rule", [0, 5, 6]).values()], "slots in use of all, 5 and 6").toEqual([1, 0, 1]);
  });

  it("goes with what was counted by reason", async () => {
    using stats = BpfMap.openPinned(pins.map("reason_stats"));
    const counted = Buffer.alloc(stats.valueSize);
    counted.fill(1, 2 * 16, 3 * 16);
    for (const tenant of [5, 6]) stats.setPerCpu(u32(tenant), new Array(cpus).fill(counted));
    await accounting.forgetCounts(pins, new Set([5]));
    expect([...counters.readReasons(pins, [5, 6])].map(([tenant, counts]) => [tenant, Object.keys(counts)])).toEqual([
      [5, []],
      [6, ["no_flow"]],
    ]);
  });

  it("goes with what was refused by rule", async () => {
    using denials = BpfMap.openPinned(pins.map("denials"));
    const one = Buffer.alloc(16);
    one[0] = 1;
    for (const mark of [0x1_0000, 0x8000_0003])
      for (const tenant of [5, 6]) denials.setPerCpu(u32(tenant, mark), new Array(cpus).fill(one));
    await accounting.forgetCounts(pins, new Set([5]));
    const counted = { packets: cpus, bytes: 0 };
    const seen = counters.readDenials(pins);
    expect([seen.get(5), new Set(seen.get(6))]).toEqual([
      undefined,
      new Set([
        { direction: "outbound", rule: undefined, ...counted },
        { direction: "inbound", rule: 2, ...counted },
      ]),
    ]);
  });
});

describe("attachments", () => {
  beforeEach(() => load.loadDatapath(pins, fingerprint, constants));
  const xdp: Attachment = { device: "v0", hook: "xdp", program: "xgw_xdp", fingerprint, mode: "native" };
  const learn: Attachment = { device: "v0", hook: "tcx-egress", program: "xgw_learn", fingerprint };
  const observed = () => Object.fromEntries(inside(() => attachments.observeAttachments(pins, names)));
  const attach = (name: string, attachment: Attachment, was?: Attachment) =>
    inside(() => attachments.attach(pins, name, attachment, was, names));

  it("are read back as they were made", () => {
    attach("xdp_v0", xdp);
    attach("learn_v0", learn);
    expect(observed()).toEqual({ xdp_v0: xdp, learn_v0: learn });
  });

  it("stay on the device without the process: the pin holds them", () => {
    attach("xdp_v0", xdp);
    expect(inside(() => queryXdp(nic)).mode).toBe("native");
  });

  it("get a new program in place", () => {
    const next = "000000000000";
    load.loadDatapath(pins, next, constants);
    attach("xdp_v0", xdp);
    const before = inside(() => queryXdp(nic).progId);
    attach("xdp_v0", { ...xdp, fingerprint: next }, xdp);
    expect([inside(() => queryXdp(nic).progId) !== before, observed()]).toEqual([
      true,
      { xdp_v0: { ...xdp, fingerprint: next } },
    ]);
  });

  it.each([
    ["fragment", { device: "prerouting", hook: "netfilter", program: "xgw_fragment", fingerprint }],
    ["reassembled", { device: "prerouting", hook: "netfilter", program: "xgw_reassembled", fingerprint }],
    ["quota_forward", { device: "forward", hook: "netfilter", program: "xgw_quota", fingerprint }],
    ["quota_local_in", { device: "local_in", hook: "netfilter", program: "xgw_quota", fingerprint }],
    ["next_hop", { device: "postrouting", hook: "netfilter", program: "xgw_next_hop", fingerprint }],
    ["neighbour_made", { device: "neighbours", hook: "tracepoint", program: "xgw_neighbour_made", fingerprint }],
    ["not_taken", { device: "nics", hook: "tracepoint", program: "xgw_not_taken", fingerprint }],
    ["neighbour_gone", { device: "neighbours", hook: "tracepoint", program: "xgw_neighbour_gone", fingerprint }],
  ] satisfies [string, Attachment][])(
    "on the kernel itself get a new program without a gap: %s",
    (name, attachment) => {
      const next = { ...attachment, fingerprint: "000000000000" };
      load.loadDatapath(pins, next.fingerprint, constants);
      attach(name, attachment);
      expect(observed()).toEqual({ [name]: attachment });
      attach(name, next, attachment);
      expect(observed()).toEqual({ [name]: next });
    },
  );

  describe.each([
    ["quota_forward", { device: "forward", hook: "netfilter", program: "xgw_quota", fingerprint }],
    ["quota_local_in", { device: "local_in", hook: "netfilter", program: "xgw_quota", fingerprint }],
    ["next_hop", { device: "postrouting", hook: "netfilter", program: "xgw_next_hop", fingerprint }],
  ] satisfies [string, Attachment][])("in netfilter: %s", (name, attachment) => {
    const isLost = () => inside(() => attachments.hasLostPrograms(pins));
    const detachLink = () => {
      using link = BpfLink.openPinned(pins.link(name));
      inside(() => link.detach());
    };
    // A kernel that does not tell what is in its hooks is believed to have it all.
    const tells = inside(() => readHookPrograms(2)) !== undefined;

    it("are missed when they are detached, and their pin is not", () => {
      attach(name, attachment);
      expect([isLost(), observed()]).toEqual([false, { [name]: attachment }]);
      detachLink();
      expect([isLost(), observed()]).toEqual([tells, tells ? {} : { [name]: attachment }]);
    });

    it("are there again when they are attached once more", () => {
      attach(name, attachment);
      detachLink();
      attach(name, attachment);
      expect([isLost(), observed()]).toEqual([false, { [name]: attachment }]);
      detachLink();
      expect(isLost()).toBe(tells); // what was attached last has the pin
    });
  });

  it.each(["made", "seen", "gone"] as const)("on a tracepoint run as long as they are pinned: neighbour_%s", (what) => {
    attach("neighbour", { device: "neighbours", hook: "tracepoint", program: `xgw_neighbour_${what}`, fingerprint });
    using link = BpfLink.openPinned(pins.link("neighbour"));
    expect(() => link.detach()).toThrow(expect.objectContaining({ code: "EOPNOTSUPP" }));
  });

  it("leave no link of the older program behind, so that any number of upgrades find a place", () => {
    const quota: Attachment = { device: "forward", hook: "netfilter", program: "xgw_quota", fingerprint };
    attach("quota_forward", quota);
    for (let upgrade = 0; upgrade < 20; upgrade++) attach("quota_forward", quota, quota);
    expect(observed()).toEqual({ quota_forward: quota });
  });

  it("change from one XDP mode to another", () => {
    attach("xdp_v0", xdp);
    attach("xdp_v0", { ...xdp, mode: "generic" }, xdp);
    expect(observed()).toEqual({ xdp_v0: { ...xdp, mode: "generic" } });
  });

  it("go with their pins", () => {
    attach("xdp_v0", xdp);
    inside(() => attachments.detach(pins, "xdp_v0"));
    expect([observed(), inside(() => queryXdp(nic)).progId ?? 0]).toEqual([{}, 0]);
  });

  it("are refused where somebody else's XDP program is, which stays", () => {
    using foreign = BpfObject.open(objectFile("test-pass.bpf.o")).load();
    const program = foreign.program("pass");
    inside(() => setXdp(nic, program, { mode: "native" }));
    try {
      expect(() => attach("xdp_v0", xdp)).toThrow(expect.objectContaining({ code: "XGW_FOREIGN", exitCode: 5 }));
      expect(inside(() => queryXdp(nic)).progId).toBe(program.id);
    } finally {
      inside(() => setXdp(nic, undefined, { mode: "native" }));
    }
  });

  it("of somebody else are found before anything is changed", () => {
    using foreign = BpfObject.open(objectFile("test-pass.bpf.o")).load();
    using link = inside(() => foreign.program("pass").attachXdp({ ifindex: nic, mode: "native" }));
    const desired = { nics: [{ name: "v0", xdp: "native" }] } as unknown as Desired;
    expect(() => inside(() => attachments.checkXdp(pins, desired, names))).toThrow(
      expect.objectContaining({
        code: "XGW_FOREIGN",
        message: `NIC v0 runs XDP program ${foreign.program("pass").id}, which is not xgw's`,
      }),
    );
    link.detach();
  });

  it("of xgw's own are not taken for foreign", () => {
    attach("xdp_v0", xdp);
    const desired = { nics: [{ name: "v0", xdp: "native" }] } as unknown as Desired;
    expect(() => inside(() => attachments.checkXdp(pins, desired, names))).not.toThrow();
  });

  it("of xgw's own are not taken for foreign when somebody has removed their programs' pins", () => {
    attach("xdp_v0", xdp);
    unlinkSync(pins.program(fingerprint, "xgw_xdp"));
    const desired = { nics: [{ name: "v0", xdp: "native" }] } as unknown as Desired;
    expect(() => inside(() => attachments.checkXdp(pins, desired, names))).not.toThrow();
  });

  it("on a device that cannot take them say so with exit code 3", () => {
    expect(() => attach("xdp_lo", { ...xdp, device: "lo", mode: "native" })).toThrow(
      expect.objectContaining({ code: "XGW_KERNEL", exitCode: 3 }),
    );
  });
});
