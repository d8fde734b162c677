// The kernel's own path, natively: what netfilter's programs refuse, for packets of every shape.
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BpfObject, inNetNamespace, type TypedMap } from "libbpf-ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { u32 } from "../../src/datapath/layout.js";
import { objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import { ethernet, icmp, ipBytes, ipv4, raw, tcp, udp } from "./support/packet.js";
import { countersOf, type ReasonCounters } from "./support/reason-counters.js";

/** The tenant's id, and so the zone of its connections. */
const tenant = 5;
const macs = { gateway: "02:00:00:00:00:01", host: "02:00:00:00:00:02" };
const host = "10.0.0.7";
const far = (at: number) => `198.51.${100 + (at >> 8)}.${at & 255}`;

/** A gateway: what comes in by v0, which stands for the tenant's VRF, leaves by v1, which stands for its tunnel. */
const gateway = makeNamespace();
gateway.ip("link", "set", "v0", "address", macs.gateway);
gateway.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
gateway.ip("addr", "add", "198.51.0.1/16", "dev", "v1");
for (const setting of ["ip_forward=1", "conf.all.rp_filter=0", "conf.v0.rp_filter=0", "conf.v1.rp_filter=0"])
  gateway.exec("sysctl", "-qw", `net.ipv4.${setting}`);
gateway.exec(
  "nft",
  `table ip t {
    chain zone { type filter hook prerouting priority raw; ct zone set ${tenant}; }
    chain forward { type filter hook forward priority filter; ct state established accept; }
  }`,
);
const within = <T>(work: () => T): T => inNetNamespace(gateway.path, work as () => never);

interface Limits {
  readonly sessions: number;
  readonly new_per_second: number;
  readonly flows: number;
  readonly templates: number;
  readonly rules: number;
  readonly events_per_second: number;
  readonly neighbours: number;
  readonly pad: number;
}

const fragmentPayload = 976;
/** What is counted for one. */
const fragmentCost = 20 + fragmentPayload + 2048;
const fragmentShare = 5 * fragmentCost;
const fragmentPool = 50_000;
const pool = 30;
/** Few, so that a slow machine does not fill it again in between. */
const newPool = 10;
const room = 50;
const programs = BpfObject.open(objectFile("netfilter.bpf.o"));
const watcher = BpfObject.open(objectFile("neighbours.bpf.o"));
for (const object of [programs, watcher]) object.resizeMap("flows", 64);
watcher.setVariable("netns_inode", Number(within(() => namespaceInode())));
programs.setVariable("fragment_pool", fragmentPool);
programs.setVariable("fragment_share", fragmentShare);
programs.setVariable("fragment_nic_share", fragmentShare);
programs.load();
programs.map("settings").set(u32(0), u32(0, 0, 0, 0, pool, pool, room, room, newPool));
for (const { name, internal } of watcher.maps) if (!internal) watcher.reuseMap(name, programs.map(name));
watcher.load();
const wire = BpfObject.open(objectFile("test-pass.bpf.o")).load();
const links = [
  ...within(() => [
    programs.program("xgw_fragment").attachNetfilter({ family: "ipv4", hook: "prerouting", priority: -450 }),
    programs.program("xgw_reassembled").attachNetfilter({ family: "ipv4", hook: "prerouting", priority: -399 }),
    programs.program("xgw_quota").attachNetfilter({ family: "ipv4", hook: "forward", priority: 5 }),
    programs.program("xgw_quota").attachNetfilter({ family: "ipv4", hook: "local_in", priority: 5 }),
    programs.program("xgw_next_hop").attachNetfilter({ family: "ipv4", hook: "postrouting", priority: 5 }),
  ]),
  watcher.program("xgw_neighbour_made").attachRawTracepoint("neigh_create"),
  watcher.program("xgw_neighbour_seen").attachRawTracepoint("neigh_update_done"),
  watcher.program("xgw_neighbour_asked").attachRawTracepoint("neigh_timer_handler"),
  watcher.program("xgw_neighbour_gone").attachRawTracepoint("neigh_cleanup_and_release"),
];
afterAll(() => {
  for (const link of links) link.close();
  for (const object of [wire, watcher, programs]) object.close();
});

function namespaceInode(): number {
  return statSync("/proc/thread-self/ns/net").ino;
}

const limits: TypedMap<number, Limits> = programs.typedMap("limits");
const sessionEvents: TypedMap<number, bigint> = programs.typedMap("session_events");
const neighbourCounts: TypedMap<number, bigint> = programs.typedMap("neighbour_counts");
const neighbourMacs = watcher.map("neighbour_macs");
const staleNeighbours = watcher.map("stale_neighbours");
const tunnels: TypedMap<number, number> = programs.typedMap("tunnels");
const reasonStats: TypedMap<number, ReasonCounters[]> = programs.typedMap("reason_stats");

/** XGW_DEVICE_VRF */
const vrfOf = (id: number) => (0x8000_0000 | id) >>> 0;

const none: Limits = {
  ...{ sessions: 0, new_per_second: 0, flows: 0, templates: 0, rules: 0, events_per_second: 0, neighbours: 0, pad: 0 },
};

function dropped(reason: string, whose = tenant): number {
  return countersOf(reasonStats.get(whose), reason).packets;
}

const connections = () => Number(gateway.exec("sh", "-c", "conntrack -L 2>/dev/null | wc -l"));

/** Gives the gateway inner packets as they come out of the tenant's tunnel, by v0. */
function send(packets: readonly Buffer[]): void {
  const context = Buffer.alloc(24);
  context.writeUInt32LE(gateway.veth[0], 12);
  within(() => {
    for (const packet of packets) {
      const data = ethernet({ src: macs.host, dst: macs.gateway }, packet);
      context.writeUInt32LE(data.length, 4);
      wire.program("pass").testRun({ data, context, liveFrames: true });
    }
  });
}

const count = 200;
const each = (packetOf: (at: number) => readonly Buffer[]) =>
  Array.from({ length: count }, (_, at) => packetOf(at)).flat();
const syn = (at: number) => tcp({ sport: 10_000 + at, dport: 80, flags: ["syn"] });

/** So many beginnings of connections; how many packets of each the kernel refuses. */
const shapes: readonly (readonly [string, () => Buffer[]])[] = [
  ["SYNs", () => each((at) => [ipv4({ src: host, dst: far(1) }, syn(at))])],
  [
    "SYNs with an IP option",
    () => each((at) => [ipv4({ src: host, dst: far(1), options: Buffer.from([1, 1, 1, 1]) }, syn(at))]),
  ],
  [
    "fragments",
    () =>
      each((at) => {
        const whole = udp({ sport: 20_000 + at, dport: 53, payload: Buffer.alloc(16) }).bytes(host, far(1));
        return [0, 16].map((offset) =>
          ipv4(
            { src: host, dst: far(1), id: 500 + at, df: false, more: offset === 0, offset },
            raw(17, offset === 0 ? whole.subarray(0, 16) : whole.subarray(16)),
          ),
        );
      }),
  ],
  ["ICMP", () => each((at) => [ipv4({ src: host, dst: far(at + 1) }, icmp())])],
  ["another protocol", () => each((at) => [ipv4({ src: host, dst: far(at + 1) }, raw(99, Buffer.alloc(8)))])],
  ["what is for the gateway itself", () => each((at) => [ipv4({ src: far(at + 1), dst: "10.0.0.1" }, icmp())])],
];

beforeEach(() => {
  gateway.exec("conntrack", "-F");
  gateway.exec("ip", "neigh", "flush", "all");
  for (const id of [0, tenant]) {
    limits.set(id, none);
    sessionEvents.set(id, 0n);
    programs.map("buckets").set(u32(id), Buffer.alloc(programs.map("buckets").valueSize));
  }
  if (tunnels.get(gateway.veth[1]) !== undefined) tunnels.delete(gateway.veth[1]);
  tunnels.set(gateway.veth[0], vrfOf(tenant));
});

describe.each(shapes)("%s", (_, packets) => {
  it("begin as many connections a second as the tenant may, and the others are counted", () => {
    const perSecond = 20;
    limits.set(tenant, { ...none, new_per_second: perSecond });
    const [before, started] = [dropped("quota"), performance.now()];
    send(packets());
    const admitted = connections();
    const seconds = (performance.now() - started) / 1000;
    expect(admitted).toBeGreaterThanOrEqual(perSecond);
    expect(admitted, `in ${seconds} s`).toBeLessThanOrEqual(perSecond + Math.ceil(perSecond * seconds) + 1);
    expect(admitted + dropped("quota") - before).toBe(count);
  });

  it("begin as many as the tenant's share and what is anybody's come to, where it has no number of its own", () => {
    const share = 5;
    limits.set(tenant, none);
    limits.set(0, { ...none, new_per_second: share });
    const started = performance.now();
    send(packets());
    const admitted = connections();
    const seconds = (performance.now() - started) / 1000;
    limits.set(0, none);
    expect(admitted).toBeGreaterThanOrEqual(share + newPool);
    expect(admitted, `in ${seconds} s`).toBeLessThanOrEqual(Math.ceil((share + newPool) * (1 + seconds)) + 2);
  });

  it("begin none when the tenant has as many as it may have", () => {
    limits.set(tenant, { ...none, sessions: 7 });
    sessionEvents.set(tenant, 7n);
    send(packets());
    expect(connections()).toBe(0);
  });

  it("begin freely where there is no limit", () => {
    send(packets());
    expect(connections()).toBe(count);
  });
});

describe("a tenant over its share of connections", () => {
  const one = [ipv4({ src: host, dst: far(1) }, syn(1))];
  beforeEach(() => {
    limits.set(0, { ...none, sessions: 10 });
    sessionEvents.set(tenant, 10n);
  });

  it("gets more while what is anybody's is not used up", () => {
    sessionEvents.set(0, BigInt(pool - 1));
    send(one);
    expect(connections()).toBe(1);
  });

  it("gets no more when it is", () => {
    sessionEvents.set(0, BigInt(pool));
    send(one);
    expect(connections()).toBe(0);
  });

  it("gets what the config gives it, whatever others have", () => {
    limits.set(tenant, { ...none, sessions: 100 });
    sessionEvents.set(0, BigInt(pool));
    send(one);
    expect(connections()).toBe(1);
  });

  it("gets no more than that, with all of the rest unused", () => {
    limits.set(tenant, { ...none, sessions: 10 });
    send(one);
    expect(connections()).toBe(0);
  });

  it("gets less where the numbers of all are more than there is", () => {
    limits.set(tenant, { ...none, sessions: 100 });
    sessionEvents.set(0, BigInt(room));
    send(one);
    expect(connections()).toBe(0);
  });

  it("keeps no other from its own", () => {
    sessionEvents.set(0, BigInt(pool));
    sessionEvents.set(tenant, 9n);
    send(one);
    expect(connections()).toBe(1);
  });
});

describe("connections in a zone with a tenant's number", () => {
  const beginFrom = (by: number | undefined) => {
    if (by === undefined) tunnels.delete(gateway.veth[0]);
    else tunnels.set(gateway.veth[0], by);
    for (const id of [tenant, 6]) {
      limits.set(id, { ...none, sessions: 7 });
      sessionEvents.set(id, 7n);
    }
    const before = dropped("quota");
    send([ipv4({ src: host, dst: far(1) }, syn(1))]);
    return { connections: connections(), refused: dropped("quota") - before };
  };

  it("are the tenant's when they begin at its device", () => {
    expect(beginFrom(vrfOf(tenant))).toEqual({ connections: 0, refused: 1 });
  });

  it("are somebody else's when they begin at another program's device", () => {
    expect(beginFrom(undefined)).toEqual({ connections: 1, refused: 0 });
  });

  it("are somebody else's when the device is a tenant's with another zone", () => {
    expect(beginFrom(vrfOf(6))).toEqual({ connections: 1, refused: 0 });
    sessionEvents.set(6, 0n);
  });
});

describe("packets of a connection that there is", () => {
  it("cost nothing, and are never refused", () => {
    limits.set(tenant, { ...none, new_per_second: 1 });
    const packet = ipv4({ src: host, dst: far(1) }, udp({ sport: 1000, dport: 53 }));
    send([packet]);
    sessionEvents.set(tenant, 5n);
    limits.set(tenant, { ...none, sessions: 5, new_per_second: 1 });
    const before = dropped("quota");
    send(Array.from({ length: 50 }, () => packet));
    expect(dropped("quota") - before).toBe(0);
  });
});

describe("neighbours on a tenant's tunnel", () => {
  const neighbours = () => Number(gateway.exec("sh", "-c", "ip neigh show dev v1 | grep -c -v FAILED || true"));
  const toAbsent = (at: number) => ipv4({ src: host, dst: far(at + 1) }, udp({ sport: 1000 + at, dport: 53 }));
  beforeEach(() => tunnels.set(gateway.veth[1], tenant));

  it("are counted as the kernel makes and removes them", () => {
    const before = Number(neighbourCounts.get(tenant));
    send([1, 2, 3].map(toAbsent));
    expect(Number(neighbourCounts.get(tenant)) - before).toBe(3);
    for (const at of [1, 2, 3]) gateway.ip("neigh", "del", far(at + 1), "dev", "v1");
    expect(Number(neighbourCounts.get(tenant)) - before).toBe(0);
  });

  it("are no more than the tenant may have, and the packets that would make others are counted", () => {
    limits.set(tenant, { ...none, neighbours: 8 });
    const before = dropped("neighbours");
    send(Array.from({ length: 100 }, (_, at) => toAbsent(at)));
    expect(neighbours()).toBe(8);
    expect(dropped("neighbours") - before).toBe(92);
  });

  it("that are known are reached, also at the limit", () => {
    limits.set(tenant, { ...none, neighbours: 8 });
    send(Array.from({ length: 8 }, (_, at) => toAbsent(at)));
    const before = dropped("neighbours");
    send(Array.from({ length: 8 }, (_, at) => toAbsent(at)));
    expect(dropped("neighbours") - before).toBe(0);
  });

  it("are bounded, too, where the gateway answers in the name of many", () => {
    limits.set(tenant, { ...none, neighbours: 8 });
    send(Array.from({ length: 100 }, (_, at) => ipv4({ src: far(at + 1), dst: "10.0.0.1" }, icmp())));
    expect(neighbours()).toBe(8);
  });

  it("that an operator puts there are counted, and never refused", () => {
    const before = Number(neighbourCounts.get(tenant));
    gateway.ip("neigh", "replace", far(900), "lladdr", macs.host, "dev", "v1", "nud", "permanent");
    expect(Number(neighbourCounts.get(tenant)) - before).toBe(1);
    gateway.ip("neigh", "del", far(900), "dev", "v1");
  });

  it("have the MAC address that the kernel sends to, as long as it sends to them", () => {
    const address = far(902);
    const key = Buffer.concat([u32(gateway.veth[1]), ipBytes(address)]);
    const mac = () => neighbourMacs.get(key)?.subarray(0, 6).toString("hex");
    const tell = (...state: string[]) => gateway.ip("neigh", "replace", address, "dev", "v1", ...state);
    const seen: (string | undefined)[] = [];
    tell("lladdr", macs.host, "nud", "stale");
    seen.push(mac());
    tell("lladdr", macs.gateway, "nud", "reachable");
    seen.push(mac());
    tell("nud", "failed");
    seen.push(mac());
    tell("lladdr", macs.host, "nud", "permanent");
    seen.push(mac());
    gateway.ip("neigh", "del", address, "dev", "v1");
    seen.push(mac());
    const hex = (text: string) => text.replaceAll(":", "");
    expect(seen).toEqual([hex(macs.host), hex(macs.gateway), undefined, hex(macs.host), undefined]);
  });

  it("are stale from when the kernel has not heard of them for a while until it asks", async () => {
    const forget = (reachableMs: number, delay: number) =>
      ["base_reachable_time_ms", "delay_first_probe_time"].forEach((name, at) => {
        gateway.exec("sysctl", "-qw", `net.ipv4.neigh.v1.${name}=${[reachableMs, delay][at]}`);
      });
    forget(100, 0);
    gateway.ip("neigh", "replace", far(904), "lladdr", macs.host, "dev", "v1", "nud", "reachable");
    const key = Buffer.concat([u32(gateway.veth[1]), ipBytes(far(904))]);
    expect(staleNeighbours.get(key)).toBe(undefined);
    await vi.waitFor(() => expect(staleNeighbours.get(key)).toBeDefined(), { timeout: 20_000, interval: 50 });
    gateway.ip("neigh", "replace", far(904), "lladdr", macs.host, "dev", "v1", "nud", "probe");
    expect(staleNeighbours.get(key)).toBe(undefined);
    gateway.ip("neigh", "replace", far(904), "lladdr", macs.host, "dev", "v1", "nud", "stale");
    expect(staleNeighbours.get(key)).toBeDefined();
    gateway.ip("neigh", "del", far(904), "dev", "v1");
    expect(staleNeighbours.get(key)).toBe(undefined);
    forget(30_000, 5);
  });

  it("that are asked and do not answer have none", async () => {
    gateway.exec("sysctl", "-qw", "net.ipv4.neigh.v1.retrans_time_ms=20");
    gateway.ip("neigh", "replace", far(903), "lladdr", macs.host, "dev", "v1", "nud", "probe");
    const key = Buffer.concat([u32(gateway.veth[1]), ipBytes(far(903))]);
    await vi.waitFor(() => expect(neighbourMacs.get(key)).toBe(undefined), { timeout: 10_000, interval: 50 });
    gateway.exec("sysctl", "-qw", "net.ipv4.neigh.v1.retrans_time_ms=1000");
  });

  it("that was there before anybody counted is known once it is told of, and counted once", () => {
    tunnels.delete(gateway.veth[1]);
    const tell = () => gateway.ip("neigh", "replace", far(901), "lladdr", macs.host, "dev", "v1", "nud", "permanent");
    tell();
    const before = Number(neighbourCounts.get(tenant));
    tunnels.set(gateway.veth[1], tenant);
    const counts = [0, 1, 2].map((times) => {
      if (times > 0) tell();
      return Number(neighbourCounts.get(tenant)) - before;
    });
    expect(counts).toEqual([0, 1, 1]);
    gateway.ip("neigh", "del", far(901), "dev", "v1");
  });

  it("beyond the share are anybody's as long as there are some left", () => {
    limits.set(0, { ...none, neighbours: 8 });
    send(Array.from({ length: 100 }, (_, at) => toAbsent(at)));
    expect(neighbours()).toBe(pool);
  });
});

describe("fragments that wait for the rest of their datagrams", () => {
  const other = 6;
  const ofNic = 8192 + (gateway.veth[0] % 64);
  const levels = programs.map("fragment_levels");
  let id = 1;

  /** Bytes that the kernel keeps. */
  const waiting = () => Number(/^FRAG: .* memory (\d+)/m.exec(gateway.exec("cat", "/proc/net/sockstat"))?.[1]);
  const counted = (slot: number) => {
    const level = levels.get(u32(slot));
    return Number(level?.readBigUInt64LE(8)) + Number(level?.readBigUInt64LE(16));
  };
  /** The two fragments of a datagram. */
  function halves(): [first: Buffer, last: Buffer] {
    const whole = udp({ sport: 1000, dport: 53, payload: Buffer.alloc(2 * fragmentPayload - 8) }).bytes(host, far(1));
    const piece = (offset: number) =>
      ipv4(
        { src: host, dst: far(1), id, df: false, more: offset === 0, offset },
        raw(17, whole.subarray(offset, offset + fragmentPayload)),
      );
    const pieces: [Buffer, Buffer] = [piece(0), piece(fragmentPayload)];
    id++;
    return pieces;
  }
  const firsts = (count: number) => Array.from({ length: count }, () => halves()[0]);
  function sendFrom(whose: number | undefined, packets: readonly Buffer[]): number {
    const before = dropped("fragments", whose ?? 0);
    if (whose !== undefined) tunnels.set(gateway.veth[0], whose);
    send(packets);
    if (whose !== undefined) tunnels.delete(gateway.veth[0]);
    return dropped("fragments", whose ?? 0) - before;
  }
  const fill = () => sendFrom(tenant, firsts(60));

  beforeAll(() => void gateway.exec("sysctl", "-qw", "net.ipv4.ipfrag_time=1"));
  beforeEach(async () => {
    while (waiting() > 0) await sleep(50);
    for (const slot of [tenant, other, ofNic]) levels.set(u32(slot), Buffer.alloc(levels.valueSize));
  });

  it("are anybody's up to a part of the memory, and what is beyond is dropped and counted", () => {
    const refused = fill();
    expect(refused).toBeGreaterThan(0);
    expect(counted(tenant)).toBe((60 - refused) * fragmentCost);
    expect(waiting()).toBeGreaterThanOrEqual(fragmentPool);
    expect(waiting()).toBeLessThan(fragmentPool + 2 * fragmentCost);
  });

  it("are no more than the share beyond that", () => {
    fill();
    expect(sendFrom(other, firsts(8))).toBe(3);
    expect(counted(other)).toBe(fragmentShare);
  });

  it("of a NIC that is no tenant's are no more than its share, either", () => {
    fill();
    expect(sendFrom(undefined, firsts(8))).toBe(3);
  });

  it("that come out of another instance's tunnel are that instance's to count", () => {
    fill();
    gateway.ip("link", "set", "v0", "group", "0x40000001");
    const refused = sendFrom(undefined, firsts(8));
    gateway.ip("link", "set", "v0", "group", "default");
    expect([refused, counted(ofNic)]).toEqual([0, 0]);
  });

  it("keep nobody's datagram from being put together who is within the share", () => {
    fill();
    expect([sendFrom(other, halves()), counted(other)]).toEqual([0, 0]);
    expect(connections()).toBe(1);
  });

  it("stop to count when their datagram is whole, so that any number of these goes on", () => {
    fill();
    expect(sendFrom(other, Array.from({ length: 100 }, halves).flat())).toBe(0);
  });

  it("count for no less than what the kernel keeps of them, whatever came of others", () => {
    const pieces = Array.from({ length: 20 }, (_, at) => (at % 3 === 0 ? halves() : halves().slice(0, 1))).flat();
    sendFrom(tenant, [...pieces, ...pieces.slice(0, 5)]);
    expect(waiting()).toBeGreaterThan(0);
    expect(2 * counted(tenant)).toBeGreaterThanOrEqual(waiting());
  });

  it("count as long as the kernel keeps them, and no longer than twice", async () => {
    const began = performance.now();
    fill();
    while (waiting() > 0) await sleep(20);
    const kept = performance.now() - began;
    expect(counted(tenant)).toBeGreaterThan(fragmentShare);
    await sleep(2.25 * 1000 - kept + 100);
    expect(sendFrom(tenant, firsts(1))).toBe(0);
    expect(counted(tenant)).toBe(fragmentCost);
  });
});
