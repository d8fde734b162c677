// Upgrades, downgrades and other sizes under load: 100,000 live flows move from one version's maps to another's while packets
// go on, each of them over one of these flows.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BpfMap, BpfObject, type Btf, type Codec, codecOf, inNetNamespace, layoutOf, TypedMap } from "libbpf-ts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { addressBytes, u32 } from "../../src/datapath/layout.js";
import type { Moved } from "../../src/datapath/move.js";
import { noLimits } from "../../src/model/shares.js";
import type { Attachment } from "../../src/plan/state.js";
import { type DatapathModules, datapathModules, otherVersion } from "./support/built.js";
import { objectFile, underlayAddress } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import { countersOf, type ReasonCounters } from "./support/reason-counters.js";
import type { Encap } from "./support/types.js";
import { connectionOf, macs, user1, user2 } from "./support/world.js";

const flows = 100_000;
/** Inner source address of flow 0: 1.0.0.0. */
const firstSource = 0x0100_0000;

const here = datapathModules;
const other = await otherVersion();
const pins = new here.pins.Pins(`move${process.pid}`);
const constants = {
  underlayAddress: "172.168.0.1",
  netnsInode: 1,
  countsSessions: false,
  flows: 131_072,
};
const namespace = makeNamespace();
const [nic, far] = namespace.veth;
const names = { indexOf: () => nic, nameOf: (ifindex: number) => (ifindex === nic ? "v0" : `#${ifindex}`) };
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);
const runner = fileURLToPath(new URL("support/run-stream.mjs", import.meta.url));

/** Client 1.0.0.0 and following, each with the same ports, to the public address of user1. */
const connection = connectionOf({ tenant: user1, protocol: "udp", client: { address: "1.0.0.0", port: 40_000 } });

let streamer: BpfObject;
const streamPin = `/sys/fs/bpf/xgw-test-stream-${process.pid}`;

beforeAll(() => {
  streamer = BpfObject.open(objectFile("test-stream.bpf.o")).load();
  streamer.program("stream_send").pin(streamPin);
  inside(() => streamer.program("stream_receive").attachXdp({ ifindex: far, mode: "native" }));
  trackAll();
  nameWay();
});

afterAll(() => {
  rmSync(streamPin, { force: true });
  streamer.close();
});

afterEach(() => {
  inside(() => {
    for (const name of pins.links()) here.attachments.detach(pins, name);
  });
  pins.removeAll();
});

/** The kernel's connections of all flows. */
function trackAll(): void {
  const folder = mkdtempSync(join(tmpdir(), "xgw-move-"));
  const lines = Array.from({ length: flows }, (_, n) => {
    const client = `1.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
    const tuples = `-s ${client} -d 2.2.2.11 --sport 40000 --dport 22 -r 10.0.0.7 -q ${client}`;
    return `-I -p udp -w ${user1.zone} -t 3000 -u SEEN_REPLY ${tuples} --reply-port-src 2222 --reply-port-dst 40000\n`;
  });
  writeFileSync(join(folder, "connections"), lines.join(""));
  execFileSync("ip", ["netns", "exec", namespace.name, "conntrack", "-R", join(folder, "connections")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  rmSync(folder, { recursive: true });
}

/** The kernel would send to the host's endpoint as the template does. */
function nameWay(): void {
  const [, endpoint] = user1.peers;
  namespace.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
  namespace.ip("link", "set", "v0", "address", macs.gateway);
  namespace.ip("addr", "add", `${underlayAddress}/24`, "dev", "v0");
  namespace.ip("neigh", "replace", endpoint ?? "", "lladdr", macs.server, "dev", "v0", "nud", "permanent");
}

/** A version's programs, in the place of what was there, step by step as in src/execute.ts. */
const install = async (version: DatapathModules, wanted: typeof constants): Promise<number> =>
  (await change(version, wanted)).flows;

async function change(version: DatapathModules, wanted: typeof constants): Promise<Pick<Moved, "flows" | "left">> {
  const moving = version.move.mapsToMove(pins, wanted);
  const fingerprint = version.objects.fingerprintOf(wanted);
  version.load.loadDatapath(pins, fingerprint, wanted, new Set(moving.keys()));
  configure(version);
  const program = (hook: Attachment["hook"]): Attachment =>
    hook === "xdp"
      ? { device: "v0", hook, program: "xgw_xdp", fingerprint, mode: "native" }
      : { device: "v0", hook, program: "xgw_learn", fingerprint };
  const was = inside(() => version.attachments.observeAttachments(pins, names));
  inside(() => version.attachments.attach(pins, "learn_v0", program("tcx-egress"), was.get("learn_v0"), names));
  const started = performance.now();
  const moved = moving.size > 0 ? await version.move.moveLearned(pins, wanted) : { flows: 0, left: 0 };
  const tookMs = Math.round(performance.now() - started);
  inside(() => version.attachments.attach(pins, "xdp_v0", program("xdp"), was.get("xdp_v0"), names));
  pins.commitNext();
  for (const old of pins.fingerprints()) if (old !== fingerprint) pins.removeDatapath(old);
  if (moving.size > 0)
    process.stderr.write(`${moved.flows} flows moved in ${tookMs} ms (${[...moving.keys()].join(", ")})\n`);
  return moved;
}

function configure(version: DatapathModules): void {
  const { id, key, zone, mtu } = user1;
  version.entries.setEntries(
    pins,
    [
      {
        map: "tenants",
        key,
        value: {
          ...{ id, zone, vrf: "v0", tunnel: "v0", routeTable: 1, kind: "gretap", mtu },
          hasPolicy: false,
        },
      },
      ...user1.peers.map((address) => ({ map: "peers", tenant: id, address }) as const),
      { map: "nics", device: "v0" },
    ],
    names,
  );
  using neighbours = BpfMap.openPinned(pins.map("neighbour_macs"));
  const host = Buffer.concat([u32(nic), addressBytes("10.0.0.7")]);
  neighbours.set(host, Buffer.from(`${macs.innerServer.replaceAll(":", "")}0000`, "hex"));
}

/** This version's table gets all flows, by the program that moves them. */
function learnAll(tenant = user1.id, count = flows, from = 0): void {
  const encaps = TypedMap.openPinned<number, Encap>(pins.map("encaps"));
  encaps.set(42 + tenant, { ...connection.original.encap(nic), tenant });
  encaps[Symbol.dispose]();
  using mover = here.move.openMover(pins, constants);
  const btf = mover.btf as Btf;
  const codec = codecOf(layoutOf(btf, btf.get("xgw_flow", "struct").id)) as Codec<unknown>;
  const { flags, bytes: _, ...flow } = connection.original.flow(42 + tenant);
  const program = mover.program("xgw_move_flows");
  const atOnce = 50;
  let added = 0;
  for (let first = from; first < from + count; first += atOnce) {
    const records = Buffer.alloc(atOnce * codec.size);
    for (let n = 0; n < atOnce; n++) {
      const saddr = firstSource + first + n;
      const key = { ...connection.original.key, saddr, flags };
      codec.encodeInto({ ...flow, rule: 0, bytes_high: 0, bytes_low: 0, saddr, key, tenant }, records, n * codec.size);
    }
    added += here.move.runOn(program, records, atOnce).added;
  }
  expect(added).toBe(count);
}

/** Packets of the tenant that went up so that the kernel uses the way. */
function sampled(): number {
  using stats = TypedMap.openPinned<number, ReasonCounters[]>(pins.map("reason_stats"));
  return countersOf(stats.get(user1.id), "sample").packets;
}

/** The kernel of this test sends nothing on, and XDP would leave a way by which it does not. */
function seeSamples(): void {
  using encaps = TypedMap.openPinned<number, Encap>(pins.map("encaps"));
  for (const [id, encap] of encaps.entries()) if (encap.unseen) encaps.set(id, { ...encap, unseen: 0 });
}

/** As the programs have counted them. */
const flowsOf = (tenant: number) => here.usage.readUsage(pins, "flow", [tenant]).get(tenant);

interface Traffic {
  readonly sent: number;
  readonly returned: number;
  /** Flows of which every packet that was sent came back. */
  readonly rounds: number;
  end(): Promise<void>;
}

/** HEADERS of bpf/test/stream.bpf.c. */
const headersBytes = 84;

const state = () => streamer.map("stream").get(u32(0)) ?? Buffer.alloc(24);

/** Packets over all flows in turn, until it is ended. */
async function startTraffic() {
  const frame = connection.original.arrives({ udpChecksum: false });
  const start = Buffer.alloc(streamer.map("stream").valueSize);
  u32(flows, firstSource).copy(start);
  frame.copy(start, 24, 0, headersBytes);
  streamer.map("stream").set(u32(0), start);
  const args = [runner, streamPin, namespace.path, String(far), frame.toString("hex")];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return {
    get sent() {
      return Number(state().readBigUInt64LE(8));
    },
    get returned() {
      return Number(state().readBigUInt64LE(16));
    },
    get rounds() {
      return Math.floor(this.sent / flows);
    },
    async end() {
      child.stdin.write("\n");
      await once(child, "exit");
      await sleep(100);
    },
  };
}

/** Until each flow has had a packet twice more. */
async function twiceAround(traffic: Traffic): Promise<void> {
  const enough = traffic.sent + 2 * flows;
  while (traffic.sent < enough) await sleep(20);
}

describe(`${flows} live flows under load`, () => {
  async function expectNoLoss(change: (traffic: Traffic) => Promise<unknown>): Promise<void> {
    await install(here, constants);
    learnAll();
    const started = performance.now();
    const sending = setInterval(seeSamples, 500);
    const traffic = await startTraffic();
    await twiceAround(traffic);
    const before = traffic.sent;
    let after = before;
    try {
      await change(traffic);
      after = traffic.sent;
      await twiceAround(traffic);
    } finally {
      await traffic.end();
      clearInterval(sending);
    }
    const { sent, returned } = traffic;
    process.stderr.write(`${sent} packets sent, ${after - before} of them during the change, ${returned} came back\n`);
    // What goes up for the kernel to use the neighbour does not come back.
    const samples = sampled();
    expect([returned + samples, countFlows()]).toEqual([sent, flows]);
    expect(samples).toBeLessThanOrEqual(2 + (performance.now() - started) / 10_000);
  }

  const countFlows = () => flowsOf(user1.id);

  it("stay when a version with the same maps comes", () =>
    expectNoLoss(async () => {
      expect(await install(here, { ...constants, netnsInode: 2 })).toBe(0);
    }));

  it("stay when the table is made larger, and smaller again", () =>
    expectNoLoss(async () => {
      expect(await install(here, { ...constants, flows: 1_000_000 })).toBe(flows);
      expect(await install(here, constants)).toBe(flows);
    }));

  it("stay when a version with other maps comes, and when it goes back", () =>
    expectNoLoss(async (traffic) => {
      expect(await install(other, { ...constants, flows: 524_288 })).toBe(flows);
      await twiceAround(traffic);
      expect(await install(here, constants)).toBe(flows);
    }));
});

it("a table that is too small takes the flows that it has room for, and it is said how many it has not", async () => {
  await install(here, constants);
  learnAll();
  const places = 2 * 16_384;
  const { flows: moved, left } = await change(here, { ...constants, flows: places / 2 });
  expect(moved + left).toBe(flows);
  expect(moved).toBeGreaterThan(0.95 * places);
  expect(flowsOf(user1.id)).toBe(moved);
});

it("a table that is too small takes all flows of a tenant within its share, whoever moves first", async () => {
  await install(here, constants);
  learnAll(user1.id, flows - 1000);
  learnAll(user2.id, 1000, flows - 1000);
  here.entries.setEntries(pins, [{ map: "limits", tenant: 0, value: { ...noLimits, flows: 8192 } }], names);
  await change(here, { ...constants, flows: 16_384 });
  expect(flowsOf(user2.id)).toBe(1000);
});
