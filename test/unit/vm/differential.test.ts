// The differential test's own parts: its packets are right where they are not spoiled, and it sees what differs.
import { describe, expect, it } from "vitest";
import { judge } from "../../../vm/differential/compare.js";
import { drawPackets, type Packet } from "../../../vm/differential/packets.js";
import type { Outcome } from "../../../vm/differential/pass.js";
import { drawOpenings, drawSite } from "../../../vm/differential/site.js";
import { parseDifferentialArgs } from "../../../vm/differential-args.js";
import { draftOf, frameOf, type Tuple, type Way } from "../../../vm/frames/draft.js";
import { answerTo, look, withoutInnerPadding } from "../../../vm/frames/frame.js";
import { mutations } from "../../../vm/frames/mutations.js";
import { stream } from "../../../vm/frames/stream.js";
import { UsageError } from "../../../vm/usage.js";
import * as packet from "../../bpf/support/packet.js";

const way: Way = {
  wire: 0,
  wrap: "gretap",
  sourceMac: "02:00:00:00:00:07",
  gatewayMac: "02:00:00:00:00:01",
  vlans: [],
  tunnel: {
    endpoint: "172.168.0.7",
    gateway: "172.168.0.1",
    key: 1000,
    macs: ["02:02:00:00:00:07", "02:67:00:00:03:e8"],
  },
};
const tuple: Tuple = { protocol: "udp", src: "1.1.1.7", sport: 40000, dst: "2.2.2.11", dport: 53 };
const frame = frameOf(draftOf(way, tuple, Buffer.from("odd")));

function changed(at: number, byte: number): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt8(byte, at);
  return copy;
}

describe("a packet that nothing was done to", () => {
  it("is the packet that the builder of the program tests makes", () => {
    const udp = packet.udp({ sport: 40000, dport: 53, payload: "odd" });
    const inner = packet.ipv4({ src: "1.1.1.7", dst: "2.2.2.11", id: 0x1234 }, udp);
    const bridged = packet.ethernet({ src: "02:02:00:00:00:07", dst: "02:67:00:00:03:e8" }, inner);
    const gre = packet.gre({ type: packet.etherType.bridged, key: 1000 }, bridged);
    const outer = packet.ipv4({ src: "172.168.0.7", dst: "172.168.0.1", id: 0x1234 }, gre);
    const wanted = packet.ethernet({ src: way.sourceMac, dst: way.gatewayMac }, outer);
    expect(frame.toString("hex")).toBe(wanted.toString("hex"));
  });

  it("is answered with everything turned round", () => {
    const answer = answerTo(frame, 3);
    expect(answer?.tuple).toEqual({ protocol: "udp", src: "2.2.2.11", sport: 53, dst: "1.1.1.7", dport: 40000 });
    expect(answer?.way).toEqual({
      ...way,
      wire: 3,
      sourceMac: way.gatewayMac,
      gatewayMac: way.sourceMac,
      tunnel: {
        endpoint: "172.168.0.1",
        gateway: "172.168.0.7",
        key: 1000,
        macs: ["02:67:00:00:03:e8", "02:02:00:00:00:07"],
      },
    });
  });
});

/** Destination unreachable, in plain IP. */
const icmpError = packet.ethernet(
  { src: "02:00:00:00:00:01", dst: "02:00:00:00:00:02" },
  packet.ipv4(
    { src: "203.0.113.254", dst: "1.1.1.7" },
    packet.raw(packet.ipProtocol.icmp, Buffer.from([3, 1, 0xfc, 0xfe, 0, 0, 0, 0])),
  ),
);

describe("the judgement", () => {
  const out = (left: readonly Buffer[], ...reasons: string[]): Outcome => ({
    left: left.map((sent) => ({ wire: 0, frame: sent })),
    reasons,
    counted: [],
  });
  const sent = { frames: [frame] } as unknown as Packet;
  const compare = (tier3: Outcome, tier2: Outcome, seen: Outcome, sentPacket = sent) =>
    judge({ packet: sentPacket, tier3, tier2, seen });
  const same = out([frame]);

  it("takes equal frames for the same", () => expect(compare(same, same, same)).toBe("same"));
  it("takes nothing and nothing for the same", () => expect(compare(out([]), out([]), out([]))).toBe("same"));

  it("sees every single byte, but for the outer id with its checksum", () => {
    const unseen = [...frame.keys()].filter((at) => {
      const other = changed(at, (frame[at] ?? 0) ^ 1);
      return compare(same, same, out([other], "forwarded")) !== undefined;
    });
    // The id changed without its checksum is seen by the checksum, which is wrong then.
    expect(unseen).toEqual([]);
  });

  it("does not mind another outer id with the checksum that belongs to it", () => {
    const draft = draftOf(way, tuple, Buffer.from("odd"));
    draft.outer.writeUInt16BE(0, 4);
    expect(compare(same, same, out([frameOf(draft)], "forwarded"))).toBe("same");
  });

  it("sees what is missing, and what is too many", () => {
    expect(compare(same, same, out([], "forwarded"))).toBeUndefined();
    expect(compare(same, same, out([frame, frame], "forwarded"))).toBeUndefined();
    expect(compare(out([]), out([]), out([frame], "forwarded"))).toBeUndefined();
  });

  it("sees another NIC", () => {
    const elsewhere: Outcome = { left: [{ wire: 1, frame }], reasons: ["forwarded"], counted: [] };
    expect(compare(same, same, elsewhere)).toBeUndefined();
  });

  it("lets XDP do as the flowtable only for what it passed up, or a wrong transport checksum", () => {
    expect(compare(out([]), same, out([frame]))).toBe("passed up to the flowtable");
    expect(compare(out([]), same, out([frame], "forwarded"))).toBeUndefined();
    const damaged = { frames: [changed(frame.length - 1, 0)] } as unknown as Packet;
    expect(compare(out([]), same, out([frame], "forwarded"), damaged)).toBe("transport checksum");
  });

  it("lets XDP take the next hop that the flowtable takes, where there are several", () => {
    const judged = (tier2: Outcome, seen: Outcome, hasNextHops = true) =>
      judge({ packet: { frames: [frame] } as unknown as Packet, tier3: same, tier2, seen, hasNextHops });
    const byOther = out([changed(5, 0xfe)], "forwarded");
    expect(judged(byOther, byOther)).toBe("next hop");
    expect(judged(byOther, byOther, false), "there is one").toBeUndefined();
    expect(judged(same, byOther), "the kernel takes one").toBeUndefined();
    const spoiled = out([changed(6, 0xfe)], "forwarded");
    expect(judged(spoiled, spoiled), "another source").toBeUndefined();
  });

  it("lets XDP send on, or refuse by policy, what the kernel refuses for its transport checksum, and no more", () => {
    const wrong = changed(frame.length - 1, 0);
    const damaged = { frames: [wrong] } as unknown as Packet;
    const nothing = out([]);
    expect(compare(nothing, nothing, out([wrong], "forwarded"), damaged)).toBe("transport checksum");
    expect(compare(nothing, nothing, out([frame], "forwarded"), damaged), "XDP made it right").toBeUndefined();
    const worse = changed(frame.length - 1, 1);
    expect(compare(nothing, nothing, out([worse], "forwarded"), damaged), "XDP changed the payload").toBeUndefined();
    expect(compare(nothing, nothing, out([wrong, wrong], "forwarded"), damaged), "XDP sent it twice").toBeUndefined();
    const answered = out([icmpError]);
    expect(compare(answered, answered, out([wrong], "forwarded"), damaged)).toBe("transport checksum");
    expect(compare(answered, answered, out([], "policy"), damaged)).toBe("transport checksum");
    expect(compare(answered, answered, out([], "policy")), "its checksum is right").toBeUndefined();
    expect(compare(same, same, out([], "policy"), damaged), "the kernel sent it on").toBeUndefined();
  });

  it("lets XDP drop strangers and unknown keys, and nothing else", () => {
    expect(compare(same, same, out([], "stranger"))).toBe("stranger");
    expect(compare(out([]), out([]), out([frame], "stranger"))).toBeUndefined();
    expect(compare(same, same, out([], "unknown_key")), "the kernel forwarded it").toBeUndefined();
  });
});

it("takes off what lies behind the inner packet", () => {
  const draft = draftOf(way, tuple, Buffer.from("odd"));
  draft.innerPadding = Buffer.alloc(9, 1);
  expect(withoutInnerPadding(frameOf(draft)).toString("hex")).toBe(frame.toString("hex"));
});

describe("what is drawn from a seed", () => {
  const site = drawSite(stream(3, "site"));
  const sides = drawOpenings(site, stream(30, "openings"), 0).map((opening, connection) => ({
    ...opening,
    connection,
  }));
  const draw = (count: number) => [...drawPackets({ seed: 30, count, sides })];

  it("is the same each time", () => {
    const stories = (packets: Packet[]) => packets.map(({ story }) => story);
    expect(stories(draw(50))).toEqual(stories(draw(50)));
  });

  it("fits the NIC", () => {
    for (const { frames } of draw(500))
      for (const { length } of frames) expect(length >= 15 && length <= 1518, `${length} bytes`).toBe(true);
  });

  it("is for the most part tunnelled packets of the connections", () => {
    const tunnelled = sides.filter(({ way }) => way.wrap !== "plain");
    const packets = [...drawPackets({ seed: 30, count: 500, sides: tunnelled })];
    const ordinary = packets.filter(({ frames: [first] }) => first && look(first).gre !== undefined);
    expect(ordinary.length).toBeGreaterThan(350);
  });

  it("has every mutation sooner or later", () => {
    const tunnelled = mutations.filter(({ of }) => of !== "plain").map(({ name }) => name);
    const seen = new Set(
      Array.from({ length: 12 }, (_, n) => n).flatMap((seed) =>
        [...drawPackets({ seed, count: 400, sides })].flatMap((drawn) => drawn.mutations),
      ),
    );
    expect(tunnelled.filter((name) => !seen.has(name) && !/gretap|MAC|EtherType|VLAN/.test(name))).toEqual([]);
  });
});

it("refuses fewer packets than seeds", () => {
  expect(() => parseDifferentialArgs(["--seeds", "5", "--packets", "4"])).toThrow(UsageError);
});
