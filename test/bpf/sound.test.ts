// Damaged or misdirected packets of an established flow: the kernel would not forward them, so XDP leaves them to it.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { expectPassed } from "./support/expectations.js";
import { checksum } from "./support/packet.js";
import { type TestTenant, testRunIfindex, user1, user2, World } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => world.reset());

const outerIp = 14;
const innerIpOf = ({ wrap }: TestTenant) => (wrap === "gretap" ? 56 : 42);

interface Damage {
  readonly name: string;
  readonly protocol?: "tcp" | "udp";
  /** @param ip offset of the inner IP header; the transport's is 20 bytes further */
  damage(frame: Buffer, ip: number): void;
}

const write16 = (frame: Buffer, at: number, value: number) => void frame.writeUInt16BE(value & 0xffff, at);
const add16 = (frame: Buffer, at: number, more: number) => write16(frame, at, frame.readUInt16BE(at) + more);

function setOuterLength(frame: Buffer, length: number): void {
  write16(frame, outerIp + 2, length);
  write16(frame, outerIp + 10, 0);
  write16(frame, outerIp + 10, checksum(frame.subarray(outerIp, outerIp + 20)));
}

const damages: readonly Damage[] = [
  { name: "an inner IP header checksum that is one too large", damage: (frame, ip) => add16(frame, ip + 10, 1) },
  { name: "an inner IP header checksum of 0", damage: (frame, ip) => write16(frame, ip + 10, 0) },
  { name: "an inner IP header checksum of 0xffff", damage: (frame, ip) => write16(frame, ip + 10, 0xffff) },
  { name: "a wrong outer IP header checksum", damage: (frame) => add16(frame, outerIp + 10, 0x100) },
  { name: "an outer length one byte beyond the frame", damage: (frame) => setOuterLength(frame, frame.length - 13) },
  { name: "the largest outer length", damage: (frame) => setOuterLength(frame, 0xffff) },
  { name: "two changed bytes of an address", damage: (frame, ip) => add16(frame, ip + 4, 1) },
  { name: "a TCP header of 16 bytes", damage: (frame, ip) => void frame.writeUInt8(0x40, ip + 32) },
  { name: "a TCP header of no bytes", damage: (frame, ip) => void frame.writeUInt8(0, ip + 32) },
  { name: "a TCP header beyond the packet", damage: (frame, ip) => void frame.writeUInt8(0xf0, ip + 32) },
  { name: "no TCP flags", damage: (frame, ip) => void frame.writeUInt8(0, ip + 33) },
  { name: "no TCP flag but PSH", damage: (frame, ip) => void frame.writeUInt8(0x08, ip + 33) },
  { name: "a UDP length of 7", protocol: "udp", damage: (frame, ip) => write16(frame, ip + 24, 7) },
  { name: "a UDP length of 0", protocol: "udp", damage: (frame, ip) => write16(frame, ip + 24, 0) },
  { name: "a UDP length beyond the packet", protocol: "udp", damage: (frame, ip) => add16(frame, ip + 24, 1) },
];

for (const tenant of [user1, user2])
  describe(`in ${tenant.wrap}`, () => {
    for (const { name, protocol = "tcp", damage } of damages)
      it(`${name}: the kernel's`, () => {
        const { original } = world.establish({ tenant, protocol });
        const frame = original.arrives();
        damage(frame, innerIpOf(tenant));
        expectPassed(datapath.receive(frame), frame, tenant, "malformed");
      });

    it("a UDP length shorter than the packet is forwarded", () => {
      const { original } = world.establish({ tenant, protocol: "udp" });
      const frame = original.arrives();
      add16(frame, innerIpOf(tenant) + 24, -1);
      expect(datapath.receive(frame).summary).toBe(`tx, tenant ${tenant.id}: forwarded`);
    });

    it("a TCP header that fills the packet is forwarded", () => {
      const { original } = world.establish({ tenant });
      const frame = original.arrives({ payload: Buffer.alloc(40) });
      frame.writeUInt8(0xf0, innerIpOf(tenant) + 32);
      expect(datapath.receive(frame).summary).toBe(`tx, tenant ${tenant.id}: forwarded`);
    });

    it("a frame for another MAC address than the NIC's: the kernel's", () => {
      const { original } = world.establish({ tenant, ifindex: testRunIfindex });
      for (const at of [0, 1, 2, 3, 4, 5]) {
        const frame = original.arrives();
        frame.writeUInt8(frame.readUInt8(at) ^ 0x10, at);
        expectPassed(datapath.receive(frame), frame, tenant, "other_host");
      }
    });
  });

it("a bridged frame for another MAC address than the tunnel's: the kernel's", () => {
  const { original } = world.establish({ tenant: user1 });
  for (const at of [0, 1, 2, 3, 4, 5]) {
    const frame = original.arrives();
    frame.writeUInt8(frame.readUInt8(42 + at) ^ 0x01, 42 + at);
    expectPassed(datapath.receive(frame), frame, user1, "other_host");
  }
});

it("every right IP header checksum is taken for one", () => {
  const { original } = world.establish({ tenant: user1 });
  for (let id = 0; id <= 0xffff; id += 257) {
    const frame = original.arrives({ id }, { id: 0xffff - id });
    expect(checksum(frame.subarray(14, 34)), "the test's own frame").toBe(0);
    expect(datapath.receive(frame).summary).toBe("tx, tenant 1: forwarded");
  }
});
