// One policy in three forms: the rules as the config has them, the tries that XDP asks, and the nft rules of a real kernel.
// They have to say the same of every packet.
import { execFileSync } from "node:child_process";
import { BpfObject, inNetNamespace } from "libbpf-ts";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { u32 } from "../../src/datapath/layout.js";
import { readConnections } from "../../src/kernel/conntrack.js";
import { nftScript } from "../../src/kernel/slow-path.js";
import type { Range } from "../../src/model/desired.js";
import { formatAddress, parseAddress } from "../../src/model/ipv4.js";
import type { PolicyRule } from "../../src/model/policy.js";
import { diff } from "../../src/plan/diff.js";
import { counterSets, deniedMark, outboundMark, rulesVersion, tableName } from "../../src/plan/rules.js";
import { flowtableOf } from "../../src/plan/shares.js";
import type { State } from "../../src/plan/state.js";
import { nothing } from "../unit/plan/fixture.js";
import { Datapath, objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import { forwardAll, judged, stateWith, type TestPolicy, vrf } from "./support/policy.js";
import { makeRandom } from "./support/random.js";
import { macs, tunnelMac, World, wrapped } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const names = forwardAll(namespace);
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);
const random = makeRandom();
const { integer, pick } = random;

/** Kernels without VRF: nothing of it is needed here but its name. */
const nft = (script: string) =>
  void execFileSync("ip", ["netns", "exec", namespace.name, "nft", "-f", "-"], {
    input: script.replace(/^.*(flowtable|flow add).*\n/gm, ""),
    stdio: ["pipe", "pipe", "pipe"],
  });

const passObject = BpfObject.open(objectFile("test-pass.bpf.o")).load();
afterAll(() => passObject.close());
beforeAll(() => {
  // A device has the queues that live frames come in by only while it runs XDP.
  const link = inside(() => passObject.program("pass").attachXdp({ ifindex: namespace.veth[0], mode: "native" }));
  return () => link.close();
});
beforeEach(() => {
  namespace.exec("nft", "flush ruleset");
  namespace.exec("conntrack", "-F");
  world.reset();
});

interface Sent {
  readonly protocol: "tcp" | "udp";
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly port: number;
}

/** What is decided of a connection: the mark that it gets, or with which it is refused. */
interface Decision {
  readonly admitted: boolean;
  readonly mark: number;
}

const publicAddress = "2.2.2.11";
const forwardAddress = "2.2.2.13";
const bases = ["1.1.1.7", "10.0.0.128", "100.64.0.0", "223.255.255.255"];
const lengths = [0, 1, 8, 16, 24, 25, 31, 32];
const portPool = [1, 22, 23, 53, 80, 443, 1023, 1024, 8080, 32767, 32768, 65534, 65535];

function network(): Range {
  const length = pick(lengths);
  const size = 2 ** (32 - length);
  const from = Math.floor((parseAddress(pick(bases)) as number) / size) * size;
  return { from, to: from + size - 1 };
}

function ports(): Range {
  const [a, b] = [pick(portPool), pick(portPool)];
  return pick([
    { from: 0, to: 65_535 },
    { from: a, to: a },
    { from: Math.min(a, b), to: Math.max(a, b) },
  ]);
}

const protocols: readonly Range[] = [
  { from: 0, to: 255 },
  { from: 6, to: 6 },
  { from: 17, to: 17 },
  { from: 1, to: 1 },
];

function rule(): PolicyRule {
  const protocol = pick(protocols);
  const hasPorts = protocol.from === 6 || protocol.from === 17;
  const some = Array.from({ length: integer(1, 3) }, ports);
  const everything = [{ from: 0, to: 65_535 }];
  return { verdict: pick(["allow", "deny"]), protocol, address: network(), ports: hasPorts ? some : everything };
}

const randomPolicy = (): TestPolicy => ({
  inbound: Array.from({ length: integer(0, 8) }, rule),
  outbound: Array.from({ length: integer(0, 8) }, rule),
  publicIps: [{ address: publicAddress, to: "10.0.0.7" }],
  portForwards: [
    { address: forwardAddress, protocol: 6, ports: { from: 80, to: 81 }, to: "10.0.0.8", toPort: 8080 },
    { address: forwardAddress, protocol: 17, ports: { from: 23, to: 443 }, to: "10.0.0.8", toPort: 23 },
  ],
});

/** Beside the edges of what policies are made of, never twice the same tuple. */
function randomPacket(serial: number): Sent {
  const near = () =>
    formatAddress(clamp((parseAddress(pick(bases)) as number) + integer(-2, 2), 0x01000000, 0xdfffffff));
  const to = pick([publicAddress, publicAddress, forwardAddress, near(), near()]);
  return {
    protocol: pick(["tcp", "udp"]),
    source: near(),
    sourcePort: 1024 + serial,
    destination: to,
    port: clamp(pick(portPool) + integer(-1, 1), 1, 65_535),
  };
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** As the config's documentation has it: DNAT makes it inbound, and the first rule that matches decides. */
function decide(policy: TestPolicy, { protocol, source, destination, port }: Sent): Decision {
  const number = packet.ipProtocol[protocol];
  const forward = policy.portForwards?.find(
    (entry) => entry.address === destination && entry.protocol === number && includes(entry.ports, port),
  );
  const isInbound = forward !== undefined || destination === publicAddress;
  const toPort = forward ? forward.toPort + port - forward.ports.from : port;
  const list = (isInbound ? policy.inbound : policy.outbound) ?? [];
  const address = parseAddress(isInbound ? source : destination) as number;
  const at = list.findIndex(
    (rule) =>
      includes(rule.protocol, number) &&
      includes(rule.address, address) &&
      rule.ports.some((range) => includes(range, toPort)),
  );
  const direction = isInbound ? 0 : outboundMark;
  const found = list[at];
  if (!found) return { admitted: false, mark: direction };
  const admitted = found.verdict === "allow";
  return { admitted, mark: direction + at + 1 + (admitted ? 0 : deniedMark) };
}

const includes = (range: Range, value: number) => range.from <= value && value <= range.to;

function ipPacket({ protocol, source, sourcePort, destination, port }: Sent): Buffer {
  const fields = { sport: sourcePort, dport: port };
  const transport = protocol === "tcp" ? packet.tcp({ ...fields, flags: ["syn"] }) : packet.udp(fields);
  return packet.ipv4({ src: source, dst: destination }, transport);
}

/** In the tenant's tunnel. */
function frameOf(sent: Sent): Buffer {
  const inner = { src: macs.innerClient, dst: tunnelMac(judged) };
  const gre = wrapped("gretap", { key: judged.key }, inner, ipPacket(sent));
  const outer = { src: judged.peers[0] as string, dst: "172.168.0.1" };
  return packet.ethernet({ src: macs.client, dst: macs.gateway }, packet.ipv4(outer, gre));
}

function showPacket({ protocol, source, sourcePort, destination, port }: Sent): string {
  return `${protocol} ${source}:${sourcePort} to ${destination}:${port}`;
}

/** Refusals of a kind, by mark. */
function countMarks(marks: readonly number[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const mark of [...marks].sort((a, b) => a - b)) counts[mark] = (counts[mark] ?? 0) + 1;
  return counts;
}

function loadTries(state: State): void {
  world.addTenant(judged);
  datapath.setEntries(
    [...state.entries.values()].filter(({ map }) => map !== "tunnels" && map !== "endpoints"),
    names,
  );
}

/** What XDP says of each packet, as `refused` or `passed up`. */
const askXdp = (sent: readonly Sent[]) =>
  inside(() => sent.map((one) => (datapath.runOnly(frameOf(one)).verdict === "drop" ? "refused" : "passed up")));

const denialsInXdp = () =>
  Object.fromEntries(
    [...datapath.denials.entries()]
      .map(([{ mark }, counts]) => [mark, Number(counts.reduce((sum, count) => sum + count.packets, 0n))] as const)
      .sort(([a], [b]) => a - b),
  );

const describePolicy = (policy: TestPolicy, n: number) =>
  `policy ${n} of XGW_TEST_SEED=${random.seed}: ${JSON.stringify({ in: policy.inbound, out: policy.outbound })}`;

it("the tries say what the rules say: 25 random policies of 200 packets each, beside every edge", () => {
  const deadline = performance.now() + 15_000;
  for (let n = 0; n < 25 && performance.now() < deadline; n++) {
    world.reset();
    const policy = randomPolicy();
    loadTries(stateWith(policy));
    const sent = Array.from({ length: 200 }, (_, serial) => randomPacket(serial));
    const decisions = sent.map((one) => decide(policy, one));
    const wanted = sent.map((one, at) => `${showPacket(one)}: ${decisions[at]?.admitted ? "passed up" : "refused"}`);
    const seen = askXdp(sent).map((verdict, at) => `${showPacket(sent[at] as Sent)}: ${verdict}`);
    expect(seen, describePolicy(policy, n)).toEqual(wanted);
    const refused = decisions.filter(({ admitted }) => !admitted).map(({ mark }) => mark);
    expect(denialsInXdp(), `denials by mark, ${describePolicy(policy, n)}`).toEqual(countMarks(refused));
  }
});

it("and what the nft rules of a kernel say: 6 random policies of 100 packets each", () => {
  const deadline = performance.now() + 25_000;
  for (let n = 0; n < 6 && performance.now() < deadline; n++) {
    namespace.exec("nft", "flush ruleset");
    namespace.exec("conntrack", "-F");
    world.reset();
    const policy = randomPolicy();
    const state = stateWith(policy);
    loadTries(state);
    const flowtableDevices = new Map([["lo", flowtableOf(judged.zone)]]); // for what else its share has
    // In place of the tunnel: what leaves by anything else is refused as spoofed.
    const elements = new Map(state.elements).set("way out", {
      set: "own_tunnel",
      key: `${judged.zone} . v1`,
      value: "",
    });
    nft(nftScript("gw1", diff({ ...nothing, rules: rulesVersion, elements, flowtableDevices }, nothing)));
    const sent = Array.from({ length: 100 }, (_, serial) => randomPacket(serial));
    const byXdp = askXdp(sent);
    for (const one of sent) arriveInVrf(one);
    const admitted = new Set(
      inside(() => [...readConnections(new Set([judged.zone]))]).map(
        ({ original }) => `${original.source}:${original.sourcePort}`,
      ),
    );
    const byNft = sent.map(({ source, sourcePort }) =>
      admitted.has(`${source}:${sourcePort}`) ? "passed up" : "refused",
    );
    const show = (verdicts: readonly string[]) => sent.map((one, at) => `${showPacket(one)}: ${verdicts[at]}`);
    expect(show(byXdp), describePolicy(policy, n)).toEqual(show(byNft));
    expect(denialsInXdp(), `denials by mark, ${describePolicy(policy, n)}`).toEqual(denialsInNft());
  }
}, 60_000);

/** A packet out of the VRF, as the tunnel leaves it there. */
function arriveInVrf(sent: Sent): void {
  const data = packet.ethernet({ src: macs.innerClient, dst: vrfMac() }, ipPacket(sent));
  const context = u32(0, data.length, 0, namespace.veth[0], 0, 0);
  inside(() => passObject.program("pass").testRun({ data, context, repeat: 1, liveFrames: true }));
}

let mac: string | undefined;
function vrfMac(): string {
  mac ??= (JSON.parse(namespace.exec("ip", "-j", "link", "show", "dev", vrf)) as [{ address: string }])[0].address;
  return mac;
}

/** The rules keep the refusals of the two directions apart, and those of no rule have mark 0 in both. */
function denialsInNft(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [set, none] of [
    [counterSets.deniedInbound, 0],
    [counterSets.deniedOutbound, outboundMark],
  ] as const) {
    const text = namespace.exec("nft", "list", "set", "ip", tableName("gw1"), set);
    for (const [, mark, packets] of text.matchAll(/\d+ \. (0x[0-9a-f]+) counter packets (\d+)/g))
      counts[Number(mark) || none] = Number(packets);
  }
  return counts;
}
