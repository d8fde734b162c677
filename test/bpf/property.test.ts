// Whatever an established flow's packet looks like, XDP makes of it what the builder makes of it from scratch.
import { afterAll, beforeEach, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { dissect } from "./support/dissect.js";
import { padded, type TcpFlag } from "./support/packet.js";
import { makeRandom } from "./support/random.js";
import { connectionOf, type Segment, testRunIfindex, user1, user2, World } from "./support/world.js";

const packets = 2000;
const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => world.reset());

const random = makeRandom();
const { integer, pick, bytes } = random;

const port = () => pick([0, 1, 0xff, 0x100, 0xfffe, 0xffff, integer(0, 0xffff), integer(0, 0xffff)]);
const address = () => pick(["255.255.255.255", "0.0.0.0", "0.0.255.255", random.address(), random.address()]);
const end = () => ({ address: address(), port: port() });

/** Outer and inner ECN that go together without the kernel's judgement. */
const ecnPairs = [
  [0, 0],
  [0, 1],
  [0, 2],
  [0, 3],
  [1, 1],
  [2, 2],
  [3, 3],
  [3, 1],
  [3, 2],
  [2, 3],
  [1, 3],
] as const;

function payload(room: number): Buffer {
  const length = pick([0, 1, 2, integer(0, 64), integer(0, room), room]);
  return pick([() => bytes(length), () => Buffer.alloc(length, 0), () => Buffer.alloc(length, 0xff)])();
}

function randomSegment(protocol: "tcp" | "udp", mtu: number, tos: number): Segment {
  const common = { tos, ttl: pick([2, 3, 255, integer(2, 255)]), id: integer(0, 0xffff), df: pick([true, false]) };
  if (protocol === "udp") return { ...common, payload: payload(mtu - 28), udpChecksum: integer(0, 9) > 0 };
  const tcpOptions = bytes(4 * integer(0, 10));
  const tcpFlags = (["psh", "urg"] as const).filter((): boolean => pick([true, false])) as TcpFlag[];
  tcpFlags.push("ack");
  const numbers = { seq: integer(0, 0xffff_fffe), ack: integer(0, 0xffff_fffe) };
  return { ...common, ...numbers, tcpOptions, tcpFlags, payload: payload(mtu - 40 - tcpOptions.length) };
}

it(`${packets} random packets of established flows leave as they should`, () => {
  console.info(`XGW_TEST_SEED=${random.seed}`);
  const forwarded = () => datapath.packetsOf(user1.id, "forwarded") + datapath.packetsOf(user2.id, "forwarded");
  const before = forwarded();
  for (let n = 0; n < packets; n++) {
    const protocol = pick(["tcp", "udp"] as const);
    const [tenant, serverSide] = [pick([user1, user2]), pick([user1, user2])];
    const ends = { client: end(), publicEnd: end(), server: end() };
    const direction = connectionOf({ tenant, serverSide, protocol, ...ends })[pick(["original", "reply"] as const)];
    world.follow(direction, direction.encap(testRunIfindex));
    const [outerEcn, innerEcn] = pick(ecnPairs);
    const dscp = integer(0, 63) << 2;
    const mtu = Math.min(user1.mtu, user2.mtu);
    const segment = randomSegment(protocol, mtu, dscp | innerEcn);
    const outer = { tos: (integer(0, 63) << 2) | outerEcn, ttl: integer(0, 255), id: integer(0, 0xffff) };
    const frame = padded(direction.arrives(segment, outer), pick([0, 0, 1, integer(0, 40)]));
    const wanted = direction.leaves(outerEcn === 3 ? { ...segment, tos: dscp | 3 } : segment);
    const seen = datapath.runOnly(frame);
    if (seen.verdict === "tx" && seen.frame.equals(wanted)) continue;
    expect(
      { verdict: seen.verdict, frame: dissect(seen.frame) },
      `packet ${n} of XGW_TEST_SEED=${random.seed}, which arrived as\n${dissect(frame).join("\n")}\nleaves as`,
    ).toEqual({ verdict: "tx", frame: dissect(wanted) });
  }
  expect(forwarded() - before, `packets counted, XGW_TEST_SEED=${random.seed}`).toBe(packets);
});
