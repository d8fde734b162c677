// Resources of docs/limits.md of which somebody on the underlay's wire, who is no tenant's, may take a part: he asks for ten
// times as much, and a tenant, which needs half of its share of the same table, does not notice.
import { setTimeout as sleep } from "node:timers/promises";
import { BpfMap, inNetNamespace } from "libbpf-ts";
import { afterAll, beforeAll } from "vitest";
import { u32 } from "../../../src/datapath/layout.js";
import { nobody } from "../../../src/model/desired.js";
import { fragmentLimits } from "../../../src/model/fragments.js";
import { readNftCounters } from "../../../src/observe/nft-counters.js";
import { hostQuotas } from "../../../src/plan/rules.js";
import { Udp } from "../../../vm/lab/udp.js";
import { arp, ipv4, udp } from "../../bpf/support/packet.js";
import { gatewayAddress } from "../support/raw-gateway.js";
import {
  pins,
  reasonOf,
  Stage,
  type Story,
  slices,
  stranger,
  tellAll,
  times,
  toManyHosts,
} from "../support/starvation.js";
import { firstFragments, fragmentStory } from "../support/starvation-fragments.js";

const who = "a stranger";
/** What the tenants share out. */
const tenants = { sessions: 1024, neighbours: 128 };

/** Of nic_arp.h: hosts at once, and a second. */
const newcomers = { burst: 512, perSecond: 16 };
const { burst, perSecond } = hostQuotas.usual;
/**
 * What the kernel's tables hold, so that they are full when everybody has what is promised: a full table gives up neighbours
 * that have not been heard of for 5 s, and a stream of datagrams is forgotten after 120 s.
 */
const kernelHolds = {
  neighbours: tenants.neighbours + newcomers.burst + newcomers.perSecond * 8,
  sessions: tenants.sessions + burst + perSecond * 120,
};

/** What the machine itself serves by the underlay: datagrams are answered with themselves. */
const served = 5353;

let stage: Stage;
let server: Udp;
beforeAll(async () => {
  stage = await Stage.set();
  server = new Udp(stage.raw.gateway, "echo", served);
  await server.read();
});
afterAll(async () => {
  await server?.end();
  await stage[Symbol.asyncDispose]();
});

const askers = (slice: number, count: number): Buffer[] =>
  times(count, (n) => {
    const at = slice * count + n;
    const sender = `172.168.${100 + (at >> 8)}.${at & 255}`;
    const [targetMac, target] = ["00:00:00:00:00:00", gatewayAddress];
    return arp({ operation: "request", senderMac: "02:00:00:00:00:99", sender, targetMac, target });
  });

/** For each NIC: the bucket is full when nothing is known of it. */
function fillBuckets(): void {
  using buckets = BpfMap.openPinned(pins.map("nic_buckets"));
  for (let slot = 0; slot < buckets.maxEntries; slot++) buckets.set(u32(slot), Buffer.alloc(buckets.valueSize));
}

const carryInParts = async (frames: readonly Buffer[], atOnce: number, before = () => {}): Promise<void> => {
  for (let at = 0; at < frames.length; at += atOnce) {
    before();
    await stage.raw.carry(frames.slice(at, at + atOnce));
  }
};

/** Conversations with the machine, that conntrack keeps as such: who still talks after two seconds is no probe. */
async function talkToMachine(slice: number, count: number): Promise<void> {
  const words = times(count, (n) =>
    stage.raw.outerFrame(
      ipv4({ src: stranger, dst: gatewayAddress }, udp({ sport: 10_000 + slice * count + n, dport: served })),
    ),
  );
  const atOnce = 100; // as many as the server's socket has room for
  await carryInParts(words, atOnce);
  await sleep(2100);
  await carryInParts(words, atOnce);
}

const [askersInSlice, talksInSlice] = [1500, 3300];
const refusedByRules = () =>
  inNetNamespace(
    stage.raw.gateway.path,
    () => readNftCounters("raw", []).refused.get(nobody)?.host_quota?.packets ?? 0,
  );

const stories: readonly Story[] = [
  {
    resource: "neighbour entries on the sides' NICs",
    who,
    limits: `neighbours: ${tenants.neighbours}`,
    sysctls: {
      "net.ipv4.neigh.default.gc_thresh2": kernelHolds.neighbours,
      "net.ipv4.neigh.default.gc_thresh3": kernelHolds.neighbours,
    },
    live: 7,
    fresh: 8,
    conversation: toManyHosts,
    flood: (slice) => stage.raw.carry(askers(slice, askersInSlice)),
    asked: slices * askersInSlice,
    got: (seconds) => newcomers.burst + newcomers.perSecond * (seconds + 1),
    refused: () => reasonOf(nobody, "neighbours"),
    lifted: {
      lift: () => {},
      flood: (slice) => carryInParts(askers(slice, askersInSlice), newcomers.burst / 2, fillBuckets),
      suffers: ({ tried, begun }) => begun < tried,
    },
  },
  {
    resource: "conntrack entries of the machine itself",
    who,
    limits: `sessions: ${tenants.sessions}`,
    sysctls: { "net.netfilter.nf_conntrack_max": kernelHolds.sessions },
    live: 64,
    fresh: 64,
    flood: (slice) => talkToMachine(slice, talksInSlice),
    asked: slices * talksInSlice,
    got: (seconds) => burst + perSecond * (seconds + 1),
    refused: refusedByRules,
    lifted: {
      lift: () => stage.raw.gateway.run("nft", "flush", "chain", "ip", "xgw_raw", "limit_host"),
      suffers: ({ tried, begun }) => begun < tried,
    },
  },
  {
    resource: "memory for fragments",
    ...fragmentStory(fragmentLimits.nicShare),
    who,
    flood: (slice) =>
      stage.raw.carry(firstFragments(slice, stranger, gatewayAddress).map((packet) => stage.raw.outerFrame(packet))),
    refused: () => reasonOf(nobody, "fragments"),
  },
];

tellAll(() => stage, stories);
