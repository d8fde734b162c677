// Whether a flow's connection lives, and whose it is, says conntrack: what XDP carries for a connection keeps it as safe as the
// kernel would, and nothing ends or moves a flow that the kernel would not have believed.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { arp, etherType, gre, type Ipv4Fields, ipv4, type TcpFlag, tcp, udp } from "../../bpf/support/packet.js";
import { type End, gatewayAddress, macOf, RawGateway, type Sent } from "../support/raw-gateway.js";

const config = `apiVersion: xgw/v1
instance: raw
underlay: { device: eth0, address: 172.168.0.1 }
tenants:
  - name: user1
    key: 1000
    addresses: [10.0.0.1/24]
    routes:
      - { to: 10.0.0.0/24, via: 172.168.0.11 }
      - { to: 1.1.1.7/32, via: 172.168.0.7 }
    snat: { address: 2.2.2.13 }
    policy: { inbound: [], outbound: [{ allow: any }] }
`;
const outside: End = { kind: "gretap", key: 1000, endpoint: "172.168.0.7" };
const inside: End = { kind: "gretap", key: 1000, endpoint: "172.168.0.11" };
const [first, second, shared, far] = ["10.0.0.8", "10.0.0.9", "2.2.2.13", "1.1.1.7"];
/** By then the flowtable has done with a connection, and a UDP connection is a stream. */
const gone = 2500;
const options = Buffer.from([1, 1, 1, 0]);

let raw: RawGateway;
beforeAll(async () => {
  raw = await RawGateway.start({
    config,
    endpoints: [outside.endpoint, inside.endpoint, "172.168.0.12"],
    neighbours: { 1000: [first, second, far] },
  });
  // What the flowtable has, conntrack does not see: it shall have done with a connection soon after XDP takes it over.
  for (const protocol of ["tcp", "udp"])
    await raw.gateway.run("sysctl", "-qw", `net.netfilter.nf_flowtable_${protocol}_timeout=1`);
});
afterAll(async () => raw[Symbol.asyncDispose]());

type More = Partial<Ipv4Fields>;

/** What a packet becomes, in words: by whom it was sent, from whom to whom. */
const told = (sent: readonly Sent[]) =>
  sent.map(({ by, packet }) => `${by}: ${packet.subarray(12, 16).join(".")} > ${packet.subarray(16, 20).join(".")}`);

describe("a UDP connection under the shared address", () => {
  const ask = async (host: string, port: number) =>
    told(await raw.ask(inside, ipv4({ src: host, dst: far }, udp({ sport: port, dport: 53, payload: "who" }))));
  const answer = async (port: number, more: More = {}) =>
    told(
      await raw.ask(outside, ipv4({ ...more, src: far, dst: shared }, udp({ sport: 53, dport: port, payload: "me" }))),
    );
  const entry = (host: string, port: number) =>
    raw.gateway.run("conntrack", "-L", "-p", "udp", "-s", host, "--sport", `${port}`);

  it("that goes on by XDP is ASSURED, so that no other tenant's flood ends it", async () => {
    for (let round = 0; round < 2; round++) await ask(first, 5001).then(() => answer(5001));
    expect([...(await ask(first, 5001)), ...(await answer(5001))]).toEqual([
      `xdp: ${shared} > ${far}`,
      `xdp: ${far} > ${first}`,
    ]);
    await sleep(gone);
    expect(await ask(first, 5001)).toEqual([`xdp: ${shared} > ${far}`]);
    expect(await entry(first, 5001)).toContain("[ASSURED]");
  });

  it("that has ended leaves its port to another host, who gets the answers, whichever way the first one took", async () => {
    for (let round = 0; round < 3; round++) await ask(first, 5002).then(() => answer(5002));
    expect(await answer(5002)).toEqual([`xdp: ${far} > ${first}`]);
    await raw.gateway.run("conntrack", "-D", "-p", "udp", "-s", first, "--sport", "5002");
    await sleep(gone);
    expect(await ask(second, 5002)).toEqual([`kernel: ${shared} > ${far}`]);
    expect(await answer(5002, { options })).toEqual([`kernel: ${far} > ${second}`]);
    expect(await answer(5002)).toEqual([`kernel: ${far} > ${second}`]);
  });
});

describe("a TCP connection in XDP", () => {
  const [isn, farIsn] = [1000, 5000];
  const say = async (port: number, flags: TcpFlag[], seq: number, ack: number, more: More = {}) =>
    told(
      await raw.ask(inside, ipv4({ ...more, src: first, dst: far }, tcp({ sport: port, dport: 22, flags, seq, ack }))),
    );
  const hear = async (port: number, flags: TcpFlag[], seq: number, ack: number, more: More = {}) =>
    told(
      await raw.ask(
        outside,
        ipv4({ ...more, src: far, dst: shared }, tcp({ sport: 22, dport: port, flags, seq, ack })),
      ),
    );
  const words = async (port: number, more: More = {}) => [
    ...(await say(port, ["ack"], isn + 1, farIsn + 1, more)),
    ...(await hear(port, ["ack"], farIsn + 1, isn + 1, more)),
  ];
  const byXdp = [`xdp: ${shared} > ${far}`, `xdp: ${far} > ${first}`];

  async function open(port: number): Promise<void> {
    await say(port, ["syn"], isn, 0);
    await hear(port, ["syn", "ack"], farIsn, isn + 1);
    await words(port);
    await words(port);
    expect(await words(port)).toEqual(byXdp);
  }

  /** XDP gives a packet of each way to the kernel every ten seconds (bpf/lib/way.h): the next is as far away as can be. */
  async function afterSamples(): Promise<void> {
    for (const left = new Set(byXdp); left.size > 0; await sleep(100))
      for (const sent of await words(6000)) if (sent.startsWith("kernel")) left.delete(sent.replace("kernel", "xdp"));
  }

  beforeAll(async () => {
    await open(6000);
    await afterSamples();
  });

  it("goes on after a SYN that somebody has put into it", async () => {
    await open(6001);
    await hear(6001, ["syn"], 77, 0);
    expect(await words(6001)).toEqual(byXdp);
  });

  it("goes on after an RST whose sequence number conntrack knows to be wrong, and which reaches nobody", async () => {
    await open(6002);
    await raw.flowtableHasDone("tcp", 6002); // it would believe any RST
    await afterSamples();
    expect(await words(6002, { options })).toHaveLength(2); // conntrack sees where the two are
    const rst = tcp({ sport: 22, dport: 6002, flags: ["rst"], seq: farIsn - 1000 });
    const sent = told(await raw.refused(raw.frame(outside, ipv4({ src: far, dst: shared }, rst))));
    expect(sent.filter((one) => one.endsWith(`${far} > ${first}`))).toEqual([]);
    expect(await words(6002)).toEqual(byXdp);
  });

  it("is the kernel's from a FIN on", async () => {
    await open(6003);
    expect(await say(6003, ["fin", "ack"], isn + 1, farIsn + 1)).toEqual([`kernel: ${shared} > ${far}`]);
    expect(await hear(6003, ["ack"], farIsn + 1, isn + 2)).toEqual([`kernel: ${far} > ${first}`]);
    expect(await hear(6003, ["fin", "ack"], farIsn + 1, isn + 2)).toEqual([`kernel: ${far} > ${first}`]);
    expect(await say(6003, ["ack"], isn + 2, farIsn + 2)).toEqual([`kernel: ${shared} > ${far}`]);
  });

  it("is the kernel's from an RST on that conntrack believes, though it expires on its way", async () => {
    await open(6004);
    await hear(6004, ["rst"], farIsn + 1, 0, { ttl: 1 });
    expect(await say(6004, ["ack"], isn + 1, farIsn + 1)).not.toEqual([`xdp: ${shared} > ${far}`]);
  });
});

describe("a packet that waits for ARP while its host moves to another endpoint", () => {
  const moved: End = { ...inside, endpoint: "172.168.0.12" };
  const inwards = (port: number) =>
    raw.frame(outside, ipv4({ src: far, dst: shared }, udp({ sport: 53, dport: port, payload: "me" })));
  const ends = (sent: readonly Sent[]) => sent.map(({ by, endpoint }) => `${by}: ${endpoint}`);
  const here = (host: string) =>
    raw.outerFrame(
      ipv4(
        { src: inside.endpoint, dst: gatewayAddress, id: 1 },
        gre(
          {
            type: etherType.bridged,
            key: inside.key,
          },
          arp({
            operation: "reply",
            senderMac: macOf(host),
            sender: host,
            targetMac: "02:67:00:00:03:e8",
            target: "10.0.0.1",
          }),
        ),
      ),
    );

  it("teaches nothing: what comes after it goes to the new endpoint", async () => {
    const port = 5003;
    await raw.gateway.run("sysctl", "-qw", "net.ipv4.neigh.xgre1000.mcast_solicit=60");
    await raw.ask(inside, ipv4({ src: second, dst: far }, udp({ sport: port, dport: 53, payload: "who" })));
    await raw.gateway.ip(`neigh del ${second} dev xgre1000`);
    expect(await raw.asked(inwards(port))).toContain(second);
    await raw.apply(
      config.replace(
        "- { to: 10.0.0.0/24",
        `- { to: ${second}/32, via: ${moved.endpoint} }\n      - { to: 10.0.0.0/24`,
      ),
    );
    expect(ends(await raw.askFrames([here(second)])), "what waited").toEqual([`kernel: ${inside.endpoint}`]);
    for (let round = 0; round < 2; round++)
      expect((await raw.askFrames([inwards(port)])).map(({ endpoint }) => endpoint)).toEqual([moved.endpoint]);
  });
});
