// What the rules leave of the kernel's own tables to those who make the machine answer, natively: neighbours and connections.
import { BpfObject, inNetNamespace } from "libbpf-ts";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { readSet } from "../../src/kernel/nftables.js";
import { hostQuotas, rulesScript, type SetTypes, strangeHosts, typesOfSet } from "../../src/plan/rules.js";
import { objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import { ethernet, etherType, icmp, ipv4, tcp } from "./support/packet.js";

const own = "172.16.0.1";
const gateway = makeNamespace();
const within = <T>(work: () => T): T => inNetNamespace(gateway.path, work as () => never);
const wire = BpfObject.open(objectFile("test-pass.bpf.o")).load();
afterAll(() => wire.close());

const mac = gateway.exec("cat", "/sys/class/net/v0/address").trim();
gateway.ip("addr", "add", `${own}/16`, "dev", "v0");
// Every host has its neighbour at once: what waits for answers to ARP would fill a queue of the kernel's.
gateway.ip("link", "set", "v0", "arp", "off");

beforeEach(() => {
  const elements = ["ip xgw_gw1 underlay", "ip6 xgw_gw1 other_hosts"].map((set) => `add element ${set} { v0 }\n`);
  gateway.exec("nft", `${rulesScript("gw1")}${elements.join("")}`);
  gateway.ip("neigh", "flush", "all");
  gateway.exec("conntrack", "-F");
});

/** Gives the gateway these packets by its underlay; within how many seconds. */
function send(packets: readonly Buffer[], type: number = etherType.ipv4): number {
  const began = performance.now();
  const context = Buffer.alloc(24);
  context.writeUInt32LE(gateway.veth[0], 12);
  within(() => {
    for (const packet of packets) {
      const data = ethernet({ src: "02:00:00:00:00:fe", dst: mac, type }, packet);
      context.writeUInt32LE(data.length, 4);
      wire.program("pass").testRun({ data, context, liveFrames: true });
    }
  });
  return (performance.now() - began) / 1000;
}

const sent = () => Number(gateway.exec("cat", "/sys/class/net/v0/statistics/tx_packets"));
const refused = (set: string, family: "ip" | "ip6" = "ip") =>
  within(() => readSet("xgw_gw1", set, typesOfSet(set) as SetTypes, family) ?? []).reduce(
    (sum, { counter }) => sum + (counter?.packets ?? 0),
    0,
  );
const host = (at: number) => `172.16.${10 + (at >> 8)}.${at & 255}`;

describe("packets under 700 addresses of the underlay's own network", () => {
  it.each<[string, (at: number) => Parameters<typeof ipv4>[1]]>([
    [
      "an answer to a connection that there is not",
      (at) => tcp({ sport: 80, dport: 9000 + at, flags: ["syn", "ack"] }),
    ],
    ["the end of one", (at) => tcp({ sport: 80, dport: 9000 + at, flags: ["fin", "ack"] })],
    ["the beginning of one", (at) => tcp({ sport: 80, dport: 9000 + at, flags: ["syn"] })],
    ["an echo", () => icmp()],
  ])("have the machine send to few of them, with %s", (_what, transport) => {
    const before = sent();
    const seconds = send(Array.from({ length: 700 }, (_, at) => ipv4({ src: host(at), dst: own }, transport(at))));
    const most = strangeHosts.burst + Math.ceil(strangeHosts.perSecond * seconds) + 1;
    const answered = sent() - before;
    expect(answered).toBeLessThanOrEqual(most);
    expect(answered + refused("host_quota")).toBe(700);
  });

  it("do not keep the machine from answering one that it has answered before", () => {
    const echoes = Array.from({ length: 700 }, (_, at) => ipv4({ src: host(at), dst: own }, icmp()));
    send(echoes);
    const before = refused("host_quota");
    send(echoes.slice(0, 1));
    expect([before > 0, refused("host_quota")]).toEqual([true, before]);
  });
});

it("packets of IPv6 from everywhere take no more of conntrack than those of IPv4 may", () => {
  const theirs = "chain input { type filter hook input priority 0; ct state established accept; }";
  gateway.exec("nft", `table inet theirs { ${theirs}\n}`);
  gateway.exec("sysctl", "-qw", "net.ipv6.conf.v0.disable_ipv6=0");
  gateway.ip("addr", "add", "fd00::1/64", "dev", "v0", "nodad");
  const packets = Array.from({ length: 2000 }, (_, at) => {
    const packet = Buffer.alloc(48);
    packet.writeUInt32BE(0x6000_0000, 0);
    packet.writeUInt32BE(0x0008_1140, 4);
    packet.write("fd010000000000000000000000000000fd000000000000000000000000000001", 8, "hex");
    packet.writeUInt32BE(at, 20);
    packet.writeUInt16BE(9, 42);
    packet.writeUInt16BE(8, 44);
    return packet;
  });
  const seconds = send(packets, etherType.ipv6);
  gateway.exec("nft", "delete table inet theirs");
  const { perSecond, burst } = hostQuotas.usual;
  const most = burst + Math.ceil(perSecond * seconds) + 1;
  const tracked = Number(gateway.exec("conntrack", "-C"));
  expect(tracked).toBeLessThanOrEqual(most);
  expect(tracked + refused("other_host_quota", "ip6")).toBeGreaterThanOrEqual(2000);
});
