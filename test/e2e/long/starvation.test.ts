// Each resource of docs/limits.md that packets take: one tenant asks for ten times its share of it, and another, which needs
// half of its own, does not notice. Where strangers ask: starvation-by-strangers.test.ts. Elsewhere: the daemon's work
// (life/fairness.test.ts); pieces and pages of policies, which are refused with the config (unit/config/check.test.ts).
import { setTimeout as sleep } from "node:timers/promises";
import { inNetNamespace } from "libbpf-ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { checkConfigValue } from "../../../src/config/load.js";
import { Interest } from "../../../src/daemon/interest.js";
import { NeighbourMemory } from "../../../src/daemon/neighbour-memory.js";
import { type KernelEvent, type KernelMonitor, monitorKernel } from "../../../src/kernel/monitor.js";
import { buildDesired } from "../../../src/model/build.js";
import { rulePool, templatePool } from "../../../src/model/desired.js";
import { fragmentLimits } from "../../../src/model/fragments.js";
import { routeProtocol } from "../../../src/plan/owner.js";
import { arp, etherType, gre, ipv4, raw as rawBytes, tcp, udp } from "../../bpf/support/packet.js";
import { beginning } from "../support/conversations.js";
import { type End, gatewayAddress, macOf } from "../support/raw-gateway.js";
import {
  absent,
  configOf,
  far,
  flowPlaces,
  host,
  hostile,
  hostileHosts,
  keys,
  liftShare,
  lossesOf,
  quotaOf,
  reasonOf,
  Stage,
  type Story,
  slices,
  tellAll,
  times,
  toFar,
  toManyHosts,
  victim,
  victimHosts,
} from "../support/starvation.js";
import { firstFragments, fragmentStory } from "../support/starvation-fragments.js";

/** What the kernel's table holds in all where it is what tenants want, so that it is full when all that is promised is taken. */
const kernelHolds = { sessions: 1024, neighbours: 128 };

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(async () => stage[Symbol.asyncDispose]());

/** Packets of every shape that each begin a connection. */
const shapes: readonly ((n: number) => readonly Buffer[])[] = [
  (n) => [beginning(toFar(n))],
  (n) => [
    ipv4(
      { src: host, dst: far, options: Buffer.from([1, 1, 1, 1]) },
      tcp({ sport: 20_000 + n, dport: 80, flags: ["syn"] }),
    ),
  ],
  (n) => [ipv4({ src: host, dst: far }, udp({ sport: 30_000 + n, dport: 53 }))],
  (n) => {
    const whole = udp({ sport: 40_000 + n, dport: 53, payload: Buffer.alloc(16) }).bytes(host, far);
    const piece = (bytes: Buffer, more: boolean, offset: number) =>
      ipv4({ src: host, dst: far, df: false, id: n, more, offset }, rawBytes(17, bytes));
    return [piece(whole.subarray(0, 16), true, 0), piece(whole.subarray(16), false, 16)];
  },
];

/** A host that asks for the gateway, and so is known from then on. */
const arpFrom = (sender: string, { key, endpoint }: End = hostileHosts, senderMac = macOf(sender)): Buffer => {
  const [targetMac, target] = ["00:00:00:00:00:00", "10.0.0.1"];
  const request = arp({ operation: "request", senderMac, sender, targetMac, target });
  const payload = gre({ type: etherType.bridged, key }, request);
  return stage.raw.outerFrame(ipv4({ src: endpoint, dst: gatewayAddress }, payload));
};

const stories: readonly Story[] = [
  {
    resource: "header templates",
    of: { [hostile]: "limits: { templates: 8 }", [victim]: "limits: { templates: 20 }" },
    poolTaken: ["encap", templatePool],
    live: 4,
    fresh: 4,
    conversation: toManyHosts,
    flood: (slice) => stage.converse(times(20, (n) => toManyHosts(20 * slice + n))),
    asked: 80,
    got: () => 8,
    refused: () => lossesOf(hostile).templatesRefused,
  },
  {
    resource: "slots of rules",
    of: {
      [hostile]: `limits: { rules: 8 }
    policy: { outbound: [${times(80, (n) => `{ allow: udp, ports: [${6000 + n}] }`).join(", ")}] }`,
      [victim]: `limits: { rules: 8 }
    policy: { outbound: [${times(4, (n) => `{ allow: tcp, ports: [${8000 + n}] }`).join(", ")}] }`,
    },
    poolTaken: ["rule", rulePool],
    live: 16,
    fresh: 16,
    conversation: (n) => ({ ...toFar(n), dport: 8000 + (n % 4) }),
    flood: (slice) => stage.converse(times(20, (n) => ({ ...toFar(n), dport: 6000 + 20 * slice + n }))),
    asked: 80,
    got: () => 8,
    refused: () => lossesOf(hostile).rulesRefused,
  },
  {
    resource: "places in the events ring",
    of: { [hostile]: "limits: { eventsPerSecond: 1 }", [victim]: "limits: { eventsPerSecond: 60 }" },
    live: 12,
    fresh: 12,
    flood: (slice) => stage.converse(times(100, (n) => toFar(100 * slice + n))),
    asked: 800,
    got: (seconds) => seconds + 1,
    refused: () => lossesOf(hostile).eventsLost,
  },
  {
    resource: "new connections a second",
    limits: "newPerSecond: 40",
    of: { [hostile]: "limits: { newPerSecond: 2 }", [victim]: "limits: { newPerSecond: 38 }" },
    live: 10,
    fresh: 8,
    flood: (slice) => stage.send(times(250, (n) => beginning(toFar(1000 + 250 * slice + n)))),
    asked: 1000,
    got: (seconds) => 2 * (seconds + 1),
    refused: () => quotaOf(hostile),
  },
  {
    resource: "conntrack entries",
    limits: `sessions: ${kernelHolds.sessions}`,
    sysctls: { "net.netfilter.nf_conntrack_max": kernelHolds.sessions },
    live: 64,
    fresh: 64,
    flood: async (slice) => {
      await stage.connect(times(280, (n) => toFar(2000 + 280 * slice + n)));
      for (const shape of shapes) await stage.send(times(90, (n) => shape(4000 + 90 * slice + n)).flat());
    },
    asked: slices * 640,
    got: () => kernelHolds.sessions / 2,
    refused: () => quotaOf(hostile),
    lifted: {
      lift: liftShare("sessions"),
      suffers: ({ tried, begun }) => begun < tried,
      flood: (slice) => stage.connect(times(280, (n) => toFar(2000 + 280 * slice + n))),
    },
  },
  {
    resource: "neighbour entries",
    limits: `neighbours: ${kernelHolds.neighbours}`,
    sysctls: {
      "net.ipv4.neigh.default.gc_thresh2": kernelHolds.neighbours + 16,
      "net.ipv4.neigh.default.gc_thresh3": kernelHolds.neighbours + 16,
    },
    live: 7,
    fresh: 8,
    conversation: toManyHosts,
    flood: async (slice) => {
      await stage.send(times(60, (n) => ipv4({ src: host, dst: absent(60 * slice + n) }, udp({ sport: 7, dport: 7 }))));
      await stage.raw.carry(times(20, (n) => arpFrom(`10.0.0.${20 + 20 * slice + n}`)));
    },
    asked: 320,
    got: () => kernelHolds.neighbours / 2,
    refused: () => reasonOf(hostile, "neighbours"),
    lifted: { lift: liftShare("neighbours"), suffers: ({ tried, begun }) => begun < tried },
  },
  {
    resource: "lines of the flow table",
    of: { [hostile]: "limits: { flows: 256 }", [victim]: "limits: { flows: 256 }" },
    live: 32,
    fresh: 32,
    // The table is full from the first slice on.
    flood: (slice) =>
      stage.converse(
        slice === 0 ? times(flowPlaces / 2, toFar) : times(100, (n) => toFar(flowPlaces / 2 + 100 * slice + n)),
      ),
    asked: flowPlaces + 2 * 100 * (slices - 1),
    got: () => flowPlaces,
    refused: () => lossesOf(hostile).flowsRefused + lossesOf(hostile).flowsEvicted,
    lifted: {
      lift: liftShare("flows"),
      suffers: ({ live }) => live.byXdp < 0.99 * live.packets,
      conversation: (n) => toFar(1000 + n), // for those of before have their places still
    },
  },
  {
    resource: "memory for fragments",
    ...fragmentStory(fragmentLimits.share),
    flood: (slice) => stage.send(firstFragments(slice, host, far)),
    refused: () => reasonOf(hostile, "fragments"),
  },
];

tellAll(() => stage, stories);

describe("remembered link-layer addresses: one tenant has ten times its share", () => {
  const places = 64;
  const share = places / 2;
  const hostsOfVictim = times(share / 2, (n) => `10.0.0.${20 + n}`);
  const memory = new NeighbourMemory(places);
  const forgotten = { [hostile]: 0, [victim]: 0 };
  const redecided: (readonly number[])[] = [];
  let monitor: KernelMonitor;

  const arrive = async (hosts: readonly string[], end: End, mac?: string): Promise<void> => {
    await stage.raw.carry(hosts.map((sender) => arpFrom(sender, end, mac)));
    for (let left = 100; left > 0 && !hosts.every((address) => memory.knows(`xgre${end.key}`, address)); left--)
      await sleep(20);
  };

  beforeAll(async () => {
    const config = configOf({ limits: `neighbours: ${kernelHolds.neighbours}` });
    await stage.raw.apply(config);
    await stage.rest();
    const interest = new Interest(buildDesired(checkConfigValue(parse(config)).config), routeProtocol, memory);
    const hear = (event: KernelEvent) => {
      const { redecide: wanted, forgotNeighbourOf } = interest.of(event);
      if (wanted) redecided.push(wanted.tenants);
      if (forgotNeighbourOf === hostile || forgotNeighbourOf === victim) forgotten[forgotNeighbourOf]++;
    };
    const onGap = () => expect.fail("nothing may be lost");
    monitor = inNetNamespace(stage.raw.gateway.path, () => monitorKernel(hear, onGap) as never);
    await arrive(hostsOfVictim, victimHosts);
    for (let slice = 0; slice < 10; slice++) {
      await arrive(
        times(share, (n) => `10.0.${100 + slice}.${n + 1}`),
        hostileHosts,
      );
      await stage.raw.gateway.run("ip", "neigh", "flush", "dev", `xgre${keys[hostile]}`); // as time does
    }
  });
  afterAll(() => monitor.stop());

  it("its oldest are forgotten, and that is counted as its own", () => {
    expect(forgotten[hostile]).toBeGreaterThanOrEqual(10 * share - places);
  });

  it("none of the other's is forgotten", () => {
    expect(forgotten[victim]).toBe(0);
    expect(hostsOfVictim.filter((address) => !memory.knows(`xgre${keys[victim]}`, address))).toEqual([]);
  });

  it("none of the other's flows is decided anew, but for a host that does change", async () => {
    const ofVictim = () => redecided.filter((tenants) => tenants.includes(victim)).length;
    const before = ofVictim();
    await arrive(hostsOfVictim.slice(1), victimHosts);
    await arrive(hostsOfVictim.slice(0, 1), victimHosts, "02:00:00:00:00:99");
    await expect.poll(ofVictim).toBe(before + 1);
    expect(before).toBe(0);
  });
});
