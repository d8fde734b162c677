// The attack's own parts: what the adversary sends says who sent it, and the oracle sees what must not be.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { drawSent, type Living } from "../../../vm/attack/adversary.js";
import { inKernelsPath, Ledger } from "../../../vm/attack/books.js";
import { drawFlood } from "../../../vm/attack/flood.js";
import { type HonestConnection, mayEnd } from "../../../vm/attack/honest.js";
import { answerToArp } from "../../../vm/attack/hosts.js";
import { nonceOf, noncesIn } from "../../../vm/attack/nonce.js";
import { type Local, Oracle } from "../../../vm/attack/oracle.js";
import { identify, type Sent } from "../../../vm/attack/sent.js";
import {
  type AttackSite,
  capacities,
  drawSite,
  outsiders,
  own,
  plainWay,
  sideOf,
  underlay,
} from "../../../vm/attack/site.js";
import { stateOf, states } from "../../../vm/attack/states.js";
import { summarize } from "../../../vm/attack/summary.js";
import { World } from "../../../vm/attack/world.js";
import { parseAttackArgs } from "../../../vm/attack-args.js";
import { macOf, tunnelMac } from "../../../vm/frames/addresses.js";
import { draftAround, draftOf, frameOf, type Way } from "../../../vm/frames/draft.js";
import { ipv4Of, layersOf, tunnelled } from "../../../vm/frames/layers.js";
import { stream } from "../../../vm/frames/stream.js";
import { UsageError } from "../../../vm/usage.js";
import { arp, gre, icmp, ipv4, raw, udp } from "../../bpf/support/packet.js";

/** With an uplink on a NIC of its own, both kinds of tunnels, and a default policy that the first tenant has. */
function siteWithUplink(): AttackSite {
  for (let number = 0; ; number++) {
    const site = drawSite(stream(number, "attacked site"));
    const shared = site.hosts.some(({ endpoint, key }) =>
      site.hosts.some((other) => other.endpoint === endpoint && other.key !== key),
    );
    const kinds = new Set(site.config.tenants?.map(({ tunnel }) => tunnel));
    if (sideOf(site, "uplink")?.wire === 3 && !shared && kinds.size === 2) return site;
  }
}

const site = siteWithUplink();
const [first, second] = site.config.tenants ?? [];
const hostOf = (key: number, address = "10.0.0.7") => {
  const host = site.hosts.find((each) => each.key === key && each.address === address);
  if (!host) throw new Error("no such host");
  return host;
};
const a = hostOf(first?.key ?? 0);
const b = hostOf(second?.key ?? 0);
const uplink = sideOf(site, "uplink");
const mgmt = sideOf(site, "unlisted");
if (!uplink || !mgmt) throw new Error("the site has both");

let numbers = 0;

/** A UDP packet that arrives, with a nonce of its own. */
function sent(way: Way, src: string, dst: string, dport = 53): Sent {
  const nonce = { seed: 1, number: ++numbers };
  const draft = draftOf(way, { protocol: "udp", src, sport: 4000, dst, dport }, nonceOf(nonce));
  const frame = frameOf(draft);
  return { ...nonce, ...identify(site, way.wire, frame), wire: way.wire, frames: [frame], story: "", shape: "plain" };
}

/** The way back to who sends so. */
const back = (way: Way): Way => ({
  ...way,
  sourceMac: way.gatewayMac,
  gatewayMac: way.sourceMac,
  ...(way.tunnel ? { tunnel: { ...way.tunnel, endpoint: way.tunnel.gateway, gateway: way.tunnel.endpoint } } : {}),
});

interface Left {
  readonly way: Way;
  readonly src: string;
  readonly dst: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly ttl?: number;
}

/** The same payload as it leaves. */
function leaves(packet: Sent, { way, src, dst, sport = 4000, dport = 53, ttl = 63 }: Left): Buffer {
  const draft = draftOf(way, { protocol: "udp", src, sport, dst, dport }, nonceOf(packet));
  draft.ip[8] = ttl;
  return frameOf(draft);
}

interface Ends {
  readonly src: string;
  readonly dst: string;
}

/** An ICMP error as it leaves, with the packet's nonce behind what it quotes. */
function errorAbout(packet: Sent, way: Way, ends: Ends, quoted: Ends): Buffer {
  const { protocol = 1, sport = 0, dport = 0 } = packet.packet.ip ?? {};
  const transport = Buffer.alloc(8);
  transport.writeUInt16BE(sport, 0);
  transport.writeUInt16BE(dport, 2);
  const about = ipv4(quoted, raw(protocol, transport));
  const message = Buffer.concat([Buffer.from([3, 1, 0, 0, 0, 0, 0, 0]), about, nonceOf(packet)]);
  const bytes = ipv4(ends, raw(1, message));
  const content = { ip: bytes.subarray(0, 20), header: Buffer.alloc(0), payload: bytes.subarray(20) };
  return frameOf(draftAround(way, { ...content, protocol: "other" }));
}

function faultOf(packet: Sent, left: Left, oracle = new Oracle(site)): string | undefined {
  oracle.expect(packet);
  return oracle.judge(left.way.wire, leaves(packet, left), packet).fault;
}

const client = hostOf(a.key, "1.1.1.7");
const publicA = first?.publicIps?.[0]?.address ?? "";
const publicB = second?.publicIps?.[0]?.address ?? "";
const outsider = outsiders[0] ?? "";
const outside = plainWay(uplink, 1);

describe("the oracle, of what a tenant sends", () => {
  const toClient = () => sent(a.way, a.address, client.address);

  it("lets it reach its own tenant's host, at its own endpoint", () => {
    expect(faultOf(toClient(), { way: back(client.way), src: publicA, dst: client.address })).toBeUndefined();
  });

  it("sees it in another tenant", () => {
    const theirs = hostOf(b.key, "1.1.1.7");
    expect(faultOf(toClient(), { way: back(theirs.way), src: publicA, dst: client.address })).toMatch(
      /reached the tunnel/,
    );
  });

  it("sees it at another endpoint", () => {
    const left = { way: back(a.way), src: publicA, dst: client.address };
    if (a.endpoint !== client.endpoint) expect(faultOf(toClient(), left)).toMatch(/is not|no endpoint/);
    const nobody = { ...back(a.way), tunnel: { ...(back(a.way).tunnel as never as object), gateway: "172.168.0.66" } };
    expect(faultOf(toClient(), { ...left, way: nobody as Way })).toMatch(/no endpoint/);
  });

  it("lets it leave with the public address of the host, and no other source", () => {
    const packet = () => sent(a.way, a.address, outsider, 5000);
    const left = (src: string) => ({ way: back(outside), src, dst: outsider, dport: 5000 });
    expect(faultOf(packet(), left(publicA))).toBeUndefined();
    expect(faultOf(packet(), left(a.address))).toMatch(/not among its public addresses/);
    expect(faultOf(packet(), left(publicB))).toMatch(/not among its public addresses/);
  });

  it("sees what the outbound policy denies", () => {
    // The first tenant's: no UDP to 9.9.1.8.
    const packet = sent(a.way, a.address, "9.9.1.8");
    expect(faultOf(packet, { way: back(outside), src: publicA, dst: "9.9.1.8" })).toMatch(/outbound policy/);
  });

  it("sees it in the gateway's own networks, tunnelled to nobody, and in no tunnel at all", () => {
    const packet = () => sent(a.way, a.address, own.host);
    const inMgmt = { way: back(plainWay(mgmt, 1)), src: a.address, dst: own.host };
    expect(faultOf(packet(), inMgmt)).toMatch(/untunnelled on the unlisted side/);
    const { tunnel: _, ...bare } = back(a.way);
    expect(faultOf(packet(), { ...inMgmt, way: { ...bare, wrap: "plain" } })).toMatch(
      /untunnelled on the underlay side/,
    );
  });

  it("sees a packet that no hop makes of it", () => {
    const left = { way: back(client.way), src: publicA, dst: client.address };
    expect(faultOf(toClient(), { ...left, ttl: 64 }), "the TTL").toMatch(/cannot be made/);
    expect(faultOf(toClient(), { ...left, dport: 54 }), "another port").toMatch(/destination should be/);
  });

  it("lets the gateway's own words go into the tenant's tunnel, and not to the outside from a private address", () => {
    const packet = toClient();
    const error = (way: Way, src: string, dst: string) => errorAbout(packet, way, { src, dst }, { src: dst, dst: src });
    const oracle = new Oracle(site);
    oracle.expect(packet);
    const judge = (way: Way, src: string, dst: string) => oracle.judge(way.wire, error(way, src, dst), packet);
    expect(judge(back(a.way), "10.0.0.1", a.address)).toMatchObject({ fate: "answered" });
    expect(judge(back(outside), "10.0.0.1", outsider).fault).toMatch(/makes for it leaves untunnelled/);
  });

  it("judges what carries no name by who was sending", () => {
    const packet = sent(a.way, a.address, own.host);
    const nameless = draftOf(
      back(plainWay(mgmt, 1)),
      { protocol: "udp", src: a.address, sport: 1, dst: own.host, dport: 53 },
      Buffer.alloc(9),
    );
    expect(new Oracle(site).judge(mgmt.wire, frameOf(nameless), packet).fault).toMatch(/untunnelled/);
  });
});

describe("the oracle, of what others send", () => {
  const into = (src: string, dst: string, dport = 53) => ({ way: back(a.way), src, dst, dport });

  it("lets an outsider in to a public address, as the inbound policy says", () => {
    expect(faultOf(sent(outside, outsider, publicA), into(outsider, a.address))).toBeUndefined();
    expect(faultOf(sent(outside, outsider, publicA, 54), into(outsider, a.address, 54))).toMatch(/inbound policy/);
  });

  it("sees it on the tuple of a connection between hosts of a tenant by its public address", () => {
    const oracle = new Oracle(site);
    const other = hostOf(a.key, "10.0.0.8");
    const inside = faultOf(sent(other.way, other.address, publicA), into(other.address, a.address), oracle);
    expect(inside).toBeUndefined();
    expect(faultOf(sent(outside, other.address, publicA), into(other.address, a.address), oracle)).toMatch(
      /somebody outside has the address of a host inside/,
    );
  });

  it("lets the answer of what was let out in, to where the question came from", () => {
    const oracle = new Oracle(site);
    const asked = faultOf(
      sent(a.way, a.address, outsider, 5000),
      { way: back(outside), src: publicA, dst: outsider, dport: 5000 },
      oracle,
    );
    expect(asked).toBeUndefined();
    const reply = () => {
      const nonce = { seed: 1, number: ++numbers };
      const frame = frameOf(
        draftOf(outside, { protocol: "udp", src: outsider, sport: 5000, dst: publicA, dport: 4000 }, nonceOf(nonce)),
      );
      return {
        ...nonce,
        ...identify(site, outside.wire, frame),
        wire: outside.wire,
        frames: [frame],
        story: "",
        shape: "",
      };
    };
    const back7 = { way: back(a.way), src: outsider, sport: 5000, dst: a.address, dport: 4000 };
    expect(faultOf(reply(), back7, oracle)).toBeUndefined();
    expect(faultOf(reply(), back7), "nobody asked").toMatch(/inbound policy/);
  });

  it("sees strangers in a tenant: by the uplink, by an unlisted NIC, and on the underlay with another's address", () => {
    const tunnel = a.way.tunnel;
    if (!tunnel) throw new Error("it has one");
    const stranger = (way: Way, endpoint: string) =>
      sent({ ...a.way, ...way, wrap: a.kind, tunnel: { ...tunnel, endpoint } }, "10.0.0.66", a.address);
    const got = into("10.0.0.66", a.address);
    expect(faultOf(stranger(outside, a.endpoint), got), "uplink").toMatch(/uplink side: reached/);
    expect(faultOf(stranger(plainWay(mgmt, 1), a.endpoint), got), "unlisted").toMatch(/unlisted side: reached/);
    const under = sideOf(site, "underlay");
    if (under)
      expect(faultOf(stranger(plainWay(under, 1), "172.168.0.66"), got), "underlay").toMatch(/underlay side: reached/);
  });

  it("lets an outsider be told about its packet under the address that it used, and sees any other address", () => {
    const packet = sent(outside, outsider, publicA);
    const oracle = new Oracle(site);
    oracle.expect(packet);
    const judge = (src: string, quoted: string) =>
      oracle.judge(
        outside.wire,
        errorAbout(packet, back(outside), { src, dst: outsider }, { src: outsider, dst: quoted }),
        packet,
      );
    expect(judge(publicA, publicA)).toMatchObject({ fate: "answered" });
    expect(judge(publicA, publicA).fault).toBeUndefined();
    expect(judge("10.0.0.1", publicA).fault).toMatch(/leaves with source 10.0.0.1/);
    expect(judge(publicA, a.address).fault).toMatch(/is not about what it sent/);
  });

  it("lets a sender be told late that its own fragments were not put together, and of nobody else's", () => {
    const [hypervisor, another] = ["172.168.0.22", "172.168.0.23"];
    const told = (of: string, more: boolean) => {
      const about = ipv4({ src: of, dst: underlay, more }, raw(47, Buffer.alloc(8)));
      const message = Buffer.concat([Buffer.from([11, 1, 0, 0, 0, 0, 0, 0]), about]);
      const bytes = ipv4({ src: underlay, dst: hypervisor }, raw(1, message));
      const content = { ip: bytes.subarray(0, 20), header: Buffer.alloc(0), payload: bytes.subarray(20) };
      const by = sideOf(site, "underlay");
      if (!by) throw new Error("there is one");
      const packet = sent(a.way, a.address, client.address);
      const oracle = new Oracle(site);
      oracle.expect(packet);
      return oracle.judge(
        by.wire,
        frameOf(draftAround(back(plainWay(by, 1)), { ...content, protocol: "other" })),
        packet,
      ).fault;
    };
    expect(told(hypervisor, true)).toBeUndefined();
    expect(told(another, true), "of another's").toMatch(/untunnelled/);
    expect(told(hypervisor, false), "of what was no fragment").toMatch(/untunnelled/);
  });

  it("knows a connection by its ports where the total length has no room for them, as the kernel's flowtable does", () => {
    const packet = ipv4({ src: "10.0.0.7", dst: "1.1.1.7" }, udp({ sport: 5000, dport: 46145 }));
    packet.writeUInt16BE(20, 2);
    expect(ipv4Of(packet)).toMatchObject({ sport: 5000, dport: 46145, payload: Buffer.alloc(0) });
  });

  it("sees a stranger's tunnelled packet leave by the uplink in a tenant's name", () => {
    const tunnel = a.way.tunnel;
    if (!tunnel) throw new Error("it has one");
    const way = { ...a.way, ...plainWay(uplink, 1), wrap: a.kind, tunnel: { ...tunnel, endpoint: outsider } };
    const left = { way: back(outside), src: publicA, dst: outsider };
    expect(faultOf(sent(way, a.address, outsider), left)).toMatch(/uplink side: what left on .* cannot be made/);
  });

  it("takes the host of a tenant that is not there for somebody on the underlay", () => {
    const newcomer = site.hosts.find(({ key }) => !(site.config.tenants ?? []).some((tenant) => tenant.key === key));
    if (!newcomer) throw new Error("there is one while the config is changed");
    const packet = () => sent(newcomer.way, newcomer.address, outsider);
    const oracle = new Oracle(site);
    expect(faultOf(packet(), { way: back(outside), src: newcomer.address, dst: outsider }, oracle)).toMatch(
      /underlay side: what left on .* cannot be made/,
    );
    expect(faultOf(packet(), into(outsider, a.address), oracle)).toMatch(/underlay side: reached/);
  });

  it("sees what goes from uplink to underlay and back, and lets other devices' traffic be", () => {
    const hypervisor = {
      way: { ...back(plainWay(uplink, 1)), wire: 0, vlans: sideOf(site, "underlay")?.tags ?? [] },
      src: outsider,
      dst: a.endpoint,
    };
    expect(faultOf(sent(outside, outsider, a.endpoint), hypervisor)).toMatch(/forwarded to the underlay side/);
    expect(faultOf(sent(plainWay(mgmt, 1), own.host, a.endpoint), { ...hypervisor, src: own.host })).toBeUndefined();
  });
});

describe("the oracle, of what the gateway says about a packet", () => {
  const packet = () => sent(outside, outsider, publicA);

  /** An ICMP error to the outsider, with these addresses in it, about a datagram with these. */
  const fault = (src: string, about: { src: string; dst: string; dport?: number }) => {
    const origin = packet();
    const datagram = udp({ sport: 4000, dport: about.dport ?? 53, payload: nonceOf(origin) });
    const quote = ipv4({ src: about.src, dst: about.dst }, datagram);
    const message = raw(1, Buffer.concat([Buffer.from([3, 4, 0, 0, 0, 0, 5, 120]), quote]));
    const bytes = ipv4({ src, dst: outsider }, message);
    const content = { ip: bytes.subarray(0, 20), header: Buffer.alloc(0), payload: bytes.subarray(20) };
    const oracle = new Oracle(site);
    oracle.expect(origin);
    const frame = frameOf(draftAround(back(outside), { ...content, protocol: "other" }));
    return oracle.judge(outside.wire, frame, origin).fault;
  };

  it("lets an error reach an outsider from the public address or the gateway's own, about what it sent", () => {
    expect(fault(publicA, { src: outsider, dst: publicA })).toBeUndefined();
    expect(fault(uplink.addresses[0] ?? "", { src: outsider, dst: publicA })).toBeUndefined();
  });

  it("sees an address from inside in either header, and another's connection", () => {
    expect(fault("10.0.0.1", { src: outsider, dst: publicA }), "source").toMatch(/leaves with source/);
    expect(fault(publicA, { src: outsider, dst: a.address }), "quote").toMatch(/not about what it sent/);
    expect(fault(publicA, { src: outsiders[1] ?? "", dst: publicA }), "somebody else's").toMatch(/not about what/);
    expect(fault(publicA, { src: outsider, dst: publicA, dport: 54 }), "port").toMatch(/not about what it sent/);
  });

  it("sees a tenant's own error to the outside that quotes an address from inside", () => {
    const origin = sent(a.way, a.address, outsider, 5000);
    const error = (dst: string, ttl: number) => {
      const quote = ipv4({ src: outsider, dst }, udp({ sport: 5000, dport: 4000, payload: nonceOf(origin) }));
      const message = raw(1, Buffer.concat([Buffer.from([3, 3, 0, 0, 0, 0, 0, 0]), quote]));
      return ipv4({ src: dst, dst: outsider, ttl }, message);
    };
    const frame = (way: Way, bytes: Buffer) =>
      frameOf(
        draftAround(way, {
          ip: bytes.subarray(0, 20),
          header: Buffer.alloc(0),
          payload: bytes.subarray(20),
          protocol: "other",
        }),
      );
    const arrived = frame(a.way, error(a.address, 64));
    const packet = { ...origin, ...identify(site, a.way.wire, arrived), frames: [arrived] };
    const oracle = new Oracle(site);
    oracle.expect(packet);
    const judged = oracle.judge(outside.wire, frame(back(outside), error(a.address, 63)), packet);
    expect(judged.fault).toMatch(/about a packet to 10\.0\.0\.7, which is not public/);
  });

  it("lets the gateway tell a hypervisor that no tunnel takes its packet, and nobody else", () => {
    const origin = sent(a.way, a.address, outsider, 5000);
    const under = sideOf(site, "underlay");
    if (!under) throw new Error("every site has one");
    const judge = (dst: string) => {
      const quote = ipv4({ src: a.endpoint, dst: underlay }, gre({ type: 0x0800, key: a.key }, nonceOf(origin)));
      const bytes = ipv4({ src: underlay, dst }, raw(1, Buffer.concat([Buffer.from([3, 3, 0, 0, 0, 0, 0, 0]), quote])));
      const content = { ip: bytes.subarray(0, 20), header: Buffer.alloc(0), payload: bytes.subarray(20) };
      const frame = frameOf(draftAround(back(plainWay(under, 1)), { ...content, protocol: "other" }));
      const oracle = new Oracle(site);
      oracle.expect(origin);
      return oracle.judge(under.wire, frame, origin).fault;
    };
    expect(judge(a.endpoint)).toBeUndefined();
    expect(judge("172.168.0.66")).toMatch(/untunnelled on the underlay side/);
  });

  it("sees an answer by ARP in the tunnel of a tenant that has not asked", () => {
    const gretap = site.hosts.filter(({ kind }) => kind === "gretap");
    const answered = gretap[0];
    const other = site.hosts.find(({ key }) => key !== answered?.key);
    if (!answered || !other) throw new Error("the site has both");
    const payload = arp({
      operation: "reply",
      senderMac: tunnelMac(answered.key),
      sender: "10.0.0.1",
      targetMac: macOf(2, 7),
      target: answered.address,
    }).subarray(14);
    const content = { type: 0x0806, ip: Buffer.alloc(0), header: Buffer.alloc(0), payload, protocol: "other" } as const;
    const frame = frameOf(draftAround(back(answered.way), content));
    const judge = (of: Sent) => new Oracle(site).judge(answered.way.wire, frame, of).fault;
    expect(judge(sent(answered.way, answered.address, "10.0.0.1"))).toBeUndefined();
    expect(judge(sent(other.way, other.address, "10.0.0.1"))).toMatch(/answered by ARP/);
    expect(judge(sent(outside, outsider, publicA))).toMatch(/answered by ARP/);
  });
});

it("a tenant's host answers who asks for it in its tunnel, and nobody else", () => {
  const host = site.hosts.find(({ kind }) => kind === "gretap");
  if (!host) throw new Error("the site has one");
  const asked = (target: string, way: Way) => {
    const question = { senderMac: tunnelMac(host.key), sender: "10.0.0.1", targetMac: "00:00:00:00:00:00", target };
    const payload = arp({ operation: "request", ...question }).subarray(14);
    const content = { type: 0x0806, ip: Buffer.alloc(0), header: Buffer.alloc(0), payload, protocol: "other" } as const;
    return answerToArp(site, frameOf(draftAround(way, content)));
  };
  const answer = asked(host.address, back(host.way));
  expect(answer).toMatchObject({ key: host.key, wire: host.way.wire });
  const { ip } = layersOf(answer?.frame ?? Buffer.alloc(14));
  expect(ip && tunnelled(ip)).toMatchObject({
    key: host.key,
    arp: { isReply: true, sender: host.address, target: "10.0.0.1" },
  });
  expect(asked("10.0.0.66", back(host.way)), "nobody").toBeUndefined();
  const elsewhere = { ...back(host.way), tunnel: { ...host.way.tunnel, gateway: "172.168.0.66", key: host.key } };
  expect(asked(host.address, { ...elsewhere, tunnel: { ...elsewhere.tunnel, endpoint: underlay } })).toBeUndefined();
});

describe("the oracle, of what the gateway takes for itself", () => {
  const local = (device: string, dst: string): Local => ({ device, src: a.address, dst, protocol: 17, id: 1 });
  const judge = (packet: Sent, of: Local) => new Oracle(site).judgeLocal(of, packet);
  const vrf = `xvrf${a.key}`;

  it("lets a tenant talk to the gateway's addresses inside it, and to no other", () => {
    const packet = sent(a.way, a.address, "10.0.0.1");
    expect(judge(packet, local(vrf, "10.0.0.1"))).toBeUndefined();
    expect(judge(packet, local(vrf, own.address))).toMatch(/the gateway itself took/);
    expect(judge(packet, local("mgmt0", "10.0.0.1"))).toMatch(/the gateway itself took/);
    expect(judge(sent(b.way, b.address, "10.0.0.1"), local(vrf, "10.0.0.1"))).toMatch(/the gateway itself took/);
  });

  it("lets others talk to the machine, and not to it inside a tenant", () => {
    const packet = sent(plainWay(mgmt, 1), own.host, own.address);
    expect(judge(packet, local("mgmt0", own.address))).toBeUndefined();
    expect(judge(packet, local(vrf, "10.0.0.1"))).toMatch(/the gateway itself took/);
  });
});

it("while a config is changed to another, what either allows is allowed", () => {
  const gone = (site.config.tenants ?? []).at(-1);
  const host = hostOf(gone?.key ?? 0);
  const oracle = new Oracle(site);
  const left = { way: back(host.way), src: "10.0.0.8", dst: host.address };
  const other = hostOf(gone?.key ?? 0, "10.0.0.8");
  const packet = () => sent(other.way, other.address, host.address, 5000);
  const fault = () =>
    faultOf(
      packet(),
      { ...left, src: new World(site.config).tenants.get(host.key)?.publicOf("10.0.0.8") ?? "10.0.0.8", dport: 5000 },
      oracle,
    );
  oracle.during(true);
  expect(fault()).toBeUndefined();
});

describe("the books", () => {
  const books = (forwarded: number, key = a.key) =>
    new Map([[key, { forwarded, declined: 0, limited: 0, denied: 0, refused: 0 }]]);

  it("see a packet too many, and no packet too few", () => {
    const ledger = new Ledger(books(5));
    ledger.hasLeft(a.key);
    ledger.enter(books(6));
    expect(ledger.faults()).toEqual([]);
    ledger.enter(books(7));
    expect(ledger.faults()).toHaveLength(1);
  });

  it("go on where counts begin again, and where a tenant comes", () => {
    const ledger = new Ledger(books(5));
    for (let n = 0; n < 3; n++) ledger.hasLeft(a.key);
    for (const count of [7, 0, 1]) ledger.enter(books(count));
    expect(ledger.faults()).toEqual([]);
    ledger.enter(books(2));
    expect(ledger.faults(), "four of three").toHaveLength(1);
    ledger.enter(books(1, b.key));
    expect(ledger.faults(), "a new one that has sent nothing").toHaveLength(2);
  });
});

describe("an honest connection", () => {
  const tuple = { protocol: "tcp", src: a.address, sport: 4000, dst: client.address, dport: 443 } as const;
  const turned = { protocol: "tcp", src: client.address, sport: 443, dst: a.address, dport: 4000 } as const;
  const connection: HonestConnection = {
    name: "",
    key: a.key,
    byUplink: false,
    sides: [
      { way: a.way, tuple },
      { way: client.way, tuple: turned },
    ],
    nextHops: ["", ""],
  };
  const segment = (of: typeof tuple | typeof turned, flags: number, change: object = {}) => {
    const draft = draftOf(a.way, { ...of, ...change }, Buffer.alloc(1));
    draft.header[13] = flags;
    const { ip } = layersOf(frameOf(draft));
    const inner = ip && tunnelled(ip)?.ip;
    if (!inner) throw new Error("it is in a tunnel");
    return inner;
  };

  it("is ended by SYN, FIN or RST with its own tuple, either way, and by nothing else", () => {
    for (const flags of [0x02, 0x11, 0x04]) expect(mayEnd(connection, segment(tuple, flags)), `${flags}`).toBe(true);
    expect(mayEnd(connection, segment(turned, 0x04))).toBe(true);
    expect(mayEnd(connection, segment(tuple, 0x10)), "ACK").toBe(false);
    expect(mayEnd(connection, segment(tuple, 0x04, { sport: 4001 })), "another port").toBe(false);
    expect(mayEnd(connection, segment(tuple, 0x04, { dst: "10.0.0.8" })), "another host").toBe(false);
    expect(mayEnd(connection, segment(tuple, 0x04, { protocol: "udp" })), "another protocol").toBe(false);
  });
});

it("what is counted in the kernel's path is told apart, for XDP has counted the same packet as passed up", () => {
  const sources = ["netfilter.bpf.c", "sessions.bpf.c", "lib/uplink.h", "lib/arp_in.h", "lib/nic_arp.h"].map((name) =>
    readFileSync(new URL(`../../../bpf/${name}`, import.meta.url), "utf8"),
  );
  const counted = sources.flatMap((text) => [...text.matchAll(/XGW_REASON_([A-Z_]+)/g)].map(([, name = ""]) => name));
  expect([...new Set(counted.map((name) => name.toLowerCase()))].sort()).toEqual([...inKernelsPath].sort());
});

describe("a flood", () => {
  const tuple = { protocol: 17, src: "10.0.0.8", sport: 40_000, dst: publicA, dport: 53 };
  const living = [{ key: a.key, way: hostOf(a.key, "10.0.0.8").way, tuple }];
  const floods = Array.from({ length: 24 }, (_, seed) => drawFlood(site, seed, living));

  it("comes to more than what is anybody's and a tenant's share, of one tenant, and names its sender", () => {
    for (const { key, kind, packets } of floods) {
      if (kind !== "sessions" && kind !== "neighbours") continue;
      const share = capacities[kind] / 2 / (site.config.tenants ?? []).length;
      expect(packets.length).toBeGreaterThan(capacities[kind] / 2 + share);
      for (const { from } of packets) expect(from).toEqual({ kind: "tenant", key });
    }
  });

  it("on a hairpin connection is an outsider's", () => {
    const [{ key, packets = [] } = {}] = floods.filter(({ kind }) => kind === "hairpin");
    expect(key).toBeUndefined();
    for (const { from } of packets) expect(from).toEqual({ kind: "side", side: "uplink" });
  });

  it("has packets of which each names its sender, and has an IP id of its own", () => {
    for (const { packets } of floods) {
      expect(new Set(packets.map(({ number }) => number & 0xffff)).size).toBe(packets.length);
      for (const { frames } of packets) expect(frames.flatMap((frame) => noncesIn(frame))).toHaveLength(1);
    }
  });

  it("is of all kinds", () => {
    expect(new Set(floods.map(({ kind }) => kind))).toEqual(new Set(["sessions", "neighbours", "segments", "hairpin"]));
  });
});

describe("what the adversary sends", () => {
  const living = site.hosts.map(
    ({ key, way, address }): Living => ({
      key,
      way,
      tuple: { protocol: 17, src: address, sport: 40000, dst: outsider, dport: 53 },
    }),
  );
  const packets = Array.from({ length: 20 }, (_, seed) => seed).flatMap((seed) =>
    Array.from({ length: 200 }, (_, n) => drawSent(site, living, { seed, number: n + 1 })),
  );

  it("says who sent it, where nothing was cut off", () => {
    const nameless = packets.filter(({ frames }) => frames.every((frame) => noncesIn(frame).length === 0));
    expect(nameless.filter(({ story }) => !/cut|fragment/.test(story)).map(({ story }) => story)).toEqual([]);
  });

  it("fits the cable", () => {
    for (const { frames, story } of packets)
      for (const { length } of frames) expect(length >= 15 && length <= 1518, `${story}: ${length} bytes`).toBe(true);
  });

  it("can be drawn in any site", () => {
    for (let number = 0; number < 12; number++) {
      const other = drawSite(stream(number, "attacked site"));
      for (let n = 1; n <= 300; n++)
        expect(drawSent(other, [], { seed: number, number: n }).frames.length).toBeGreaterThan(0);
    }
  });

  it("is the same each time", () => {
    const again = packets.slice(0, 500).map(({ seed, number }) => drawSent(site, living, { seed, number }).story);
    expect(again).toEqual(packets.slice(0, 500).map(({ story }) => story));
  });

  it("leaves the outer header of a tenant's hosts as the hypervisor makes it", () => {
    const macs = new Set(site.hosts.map(({ endpoint }) => macOf(1, Number(endpoint.split(".")[3]))));
    for (const { frames, from, story } of packets.filter(({ from }) => from.kind === "tenant"))
      for (const frame of frames) {
        const layers = layersOf(frame);
        if (!macs.has(layers.macs[1])) continue; // somebody with a peer's address
        const key = layers.ip && tunnelled(layers.ip)?.key;
        expect(from, story).toEqual({ kind: "tenant", key });
      }
  });

  it("has every shape and every sender", () => {
    const shapes = new Set(packets.map(({ shape }) => shape));
    for (const shape of [
      "plain",
      "on a connection",
      "GRE inside",
      "another tunnel",
      "ICMP error",
      "IPv6",
      "ARP",
      "tunnelled",
    ])
      expect(shapes, shape).toContain(shape);
    const senders = new Set(packets.map(({ from }) => (from.kind === "tenant" ? "tenant" : from.side)));
    for (const sender of ["tenant", "uplink", "underlay", "unlisted", "listed", "astray"])
      expect(senders, sender).toContain(sender);
  });
});

it("reads GRE with every flag", () => {
  const inner = ipv4({ src: "10.0.0.7", dst: "1.1.1.7" }, icmp());
  for (const flags of [{}, { checksum: true }, { sequence: 9 }, { checksum: true, sequence: 9 }]) {
    const outer = ipv4({ src: "172.168.0.7", dst: underlay }, gre({ type: 0x0800, key: 5, ...flags }, inner));
    const frame = Buffer.concat([Buffer.alloc(12), Buffer.from([8, 0]), outer]);
    const { ip } = layersOf(frame);
    expect(ip && tunnelled(ip), JSON.stringify(flags)).toMatchObject({
      key: 5,
      ip: { src: "10.0.0.7", dst: "1.1.1.7" },
    });
  }
});

describe("the summary", () => {
  const result = {
    seed: 1,
    state: "native",
    site: "",
    packets: 100,
    frames: 100,
    shapes: {},
    fates: { nothing: 60, answered: 40 },
    honest: { sent: 20, arrived: 20, ended: 0 },
    foreignWorks: true,
    changes: 0,
    violations: [],
    seconds: 1,
  } as const;
  const noticed = { broken: "rules", violations: [{ kind: "", text: "" }] };
  const faults = (change: object) => summarize({ kernel: "", seeds: [{ ...result, ...change }], errors: [] }).faults;

  it("is content when nothing was wrong and enough happened", () => expect(faults({})).toEqual([]));
  it("wants violations where the gateway was broken on purpose", () => {
    const of = (broken: object) =>
      summarize({ kernel: "", seeds: [result, { ...result, ...broken }], errors: [] }).faults;
    expect(of(noticed)).toEqual([]);
    expect(of({ ...noticed, violations: [] })).toHaveLength(1);
  });
  it("is not when there is a violation", () =>
    expect(faults({ violations: [{ kind: "", text: "" }] })).toHaveLength(1));
  it("is not when nothing came of the packets", () =>
    expect(faults({ fates: { nothing: 95, answered: 5 } })).toHaveLength(1));
  it("is not when the honest do not get through", () =>
    expect(faults({ honest: { sent: 20, arrived: 9, ended: 0 } })).toHaveLength(1));
  it("is not when other people's tunnels break", () => expect(faults({ foreignWorks: false })).toHaveLength(1));
});

it("has each state in a row of seeds", () => {
  expect(new Set(states.map((_, seed) => stateOf(1000 + seed))).size).toBe(states.length);
});

it("refuses states and breaks that it does not know, and fewer packets than seeds", () => {
  for (const argv of [
    ["--state", "odd"],
    ["--break", "odd"],
    ["--seeds", "5", "--packets", "4"],
  ])
    expect(() => parseAttackArgs(argv), argv.join(" ")).toThrow(UsageError);
});
