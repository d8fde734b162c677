import { execFile, execFileSync } from "node:child_process";
import { Attributes, attribute, type BpfError, hostU32, NetlinkSocket } from "libbpf-ts";
import { describe, expect, it } from "vitest";
import { failure, netNamespace } from "./support/kernel.js";

const ROUTE = 0;
const RTM_SETLINK = 19;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const AF_INET = 2;
const IFADDRMSG = 8;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFINFOMSG = 16;

function link(ifindex: number, ...attributes: Buffer[]): Buffer {
  const header = Buffer.alloc(IFINFOMSG);
  header.writeInt32LE(ifindex, 4);
  return Buffer.concat([header, ...attributes]);
}

const mtu = (bytes: number) => attribute(IFLA_MTU, Buffer.from(new Uint32Array([bytes]).buffer));

const allLinks = (socket: NetlinkSocket) => socket.dump({ type: RTM_GETLINK, body: link(0) }, IFINFOMSG);

describe("a netlink socket", () => {
  it("dumps what there is in its network namespace", () => {
    const { inside } = netNamespace();
    const names = inside(() => {
      using socket = new NetlinkSocket(ROUTE);
      return Array.from(allLinks(socket), ({ attributes }) => attributes.text(IFLA_IFNAME));
    });
    expect(names.sort()).toEqual(["lo", "v0", "v1"]);
  });

  it("keeps of a dump what it is told to keep", () => {
    const { inside } = netNamespace();
    const names = inside(() => {
      using socket = new NetlinkSocket(ROUTE);
      const request = { type: RTM_GETLINK, body: link(0) };
      return socket.collect(request, IFINFOMSG, (header, attributes) =>
        hostU32(header, 4) === 1 ? undefined : attributes.text(IFLA_IFNAME),
      );
    });
    expect(names.sort()).toEqual(["v0", "v1"]);
  });

  it("misses nothing in a dump while devices come and go", async () => {
    const { name, inside } = netNamespace();
    const pairs = Array.from({ length: 100 }, (_, at) => `link add a${at} type veth peer name b${at}\n`).join("");
    execFileSync("ip", ["-n", name, "-batch", "-"], { input: pairs });
    const toAndFro = "link add x type veth peer name y\nlink del x\n".repeat(2000);
    const other = execFile("ip", ["-n", name, "-batch", "-"]);
    other.stdin?.end(toAndFro);
    const lengths = new Set<number>();
    for (let round = 0; round < 100; round++) {
      const all = inside(() => {
        using socket = new NetlinkSocket(ROUTE);
        const request = { type: RTM_GETLINK, body: link(0) };
        return socket.collect(request, IFINFOMSG, (_header, attributes) => attributes.text(IFLA_IFNAME));
      });
      lengths.add(all.filter((one) => one !== "x" && one !== "y").length);
      await new Promise((resolve) => setImmediate(resolve));
    }
    other.kill();
    expect([...lengths], "devices that were there all the time").toEqual([203]);
  });

  it("gets one thing", () => {
    const { inside, ifindex } = netNamespace();
    const found = inside(() => {
      using socket = new NetlinkSocket(ROUTE);
      const asked = { type: RTM_GETLINK, body: link(0, attribute(IFLA_IFNAME, Buffer.from("v0\0"))) };
      return hostU32(socket.get(asked, IFINFOMSG).header, 4);
    });
    expect(found).toBe(ifindex);
  });

  it("asked for one thing that there is not says so, and takes the next request", () => {
    const { inside } = netNamespace();
    const [refused, mtuOfLo] = inside(() => {
      using socket = new NetlinkSocket(ROUTE);
      const asked = { type: RTM_GETLINK, body: link(0, attribute(IFLA_IFNAME, Buffer.from("v9\0"))) };
      const error = failure(() => socket.get(asked, IFINFOMSG));
      return [error, socket.get({ type: RTM_GETLINK, body: link(1) }, IFINFOMSG).attributes.u32(IFLA_MTU)];
    });
    expect([refused, mtuOfLo]).toEqual([expect.objectContaining({ code: "ENODEV" }), 65_536]);
  });

  it("that is strict has a dump filtered by the kernel", () => {
    const { name, inside, ifindex } = netNamespace();
    for (const device of ["v0", "v1"]) execFileSync("ip", ["-n", name, "addr", "add", "10.1.0.1/24", "dev", device]);
    const addresses = (isStrict: boolean) =>
      inside(() => {
        using socket = new NetlinkSocket(ROUTE, { isStrict });
        const asked = Buffer.alloc(IFADDRMSG);
        asked[0] = AF_INET;
        asked.set(new Uint8Array(new Uint32Array([ifindex]).buffer), 4);
        return socket.collect({ type: RTM_GETADDR, body: asked }, IFADDRMSG, (header) => hostU32(header, 4)).length;
      });
    expect({ strict: addresses(true), otherwise: addresses(false) }).toEqual({ strict: 1, otherwise: 2 });
  });

  it("that is strict has what the kernel does not know refused", () => {
    using socket = new NetlinkSocket(ROUTE, { isStrict: true });
    const asked = { type: RTM_GETLINK, body: link(0, mtu(1400)) };
    expect(failure(() => [...socket.dump(asked, IFINFOMSG)])).toMatchObject({ code: "EINVAL" });
  });

  it("does what it is asked to, and counts what the kernel refused", () => {
    const { inside, ifindex, peerIfindex } = netNamespace();
    const requests = [link(ifindex, mtu(1400)), link(9999, mtu(1400)), link(peerIfindex, mtu(1300))];
    const [failed, mtus] = inside(() => {
      using socket = new NetlinkSocket(ROUTE);
      const refused = socket.carryOut(RTM_SETLINK, requests);
      return [refused, Array.from(allLinks(socket), ({ attributes }) => attributes.u32(IFLA_MTU))] as const;
    });
    const ENODEV = 19;
    expect(failed).toEqual(new Map([[ENODEV, 1]]));
    expect(mtus.sort()).toEqual([1300, 1400, 65_536]);
  });

  it("counts what was refused of more requests than go out at once", () => {
    const { inside } = netNamespace();
    const requests = Array.from({ length: 1000 }, (_, at) => link(10_000 + at));
    const failed = inside(() => {
      using socket = new NetlinkSocket(ROUTE);
      return socket.carryOut(RTM_DELLINK, requests);
    });
    expect([...failed.values()]).toEqual([1000]);
  });

  it("asked for nothing does nothing", () => {
    using socket = new NetlinkSocket(ROUTE);
    expect(socket.carryOut(RTM_DELLINK, [])).toEqual(new Map());
  });

  it("of a protocol that the kernel does not have says so", () => {
    expect(failure(() => new NetlinkSocket(31)) as BpfError).toMatchObject({
      code: "EPROTONOSUPPORT",
      message: expect.stringContaining("open netlink socket of protocol 31"),
    });
  });

  it("of a dump that the kernel refuses says so", () => {
    using socket = new NetlinkSocket(ROUTE);
    const unknown = { type: 0x7ff0, body: link(0) };
    expect(failure(() => [...socket.dump(unknown, IFINFOMSG)])).toMatchObject({ code: "EOPNOTSUPP" });
  });
});

describe("attributes", () => {
  it("are found by their types, whatever length they have", () => {
    const all = new Attributes(Buffer.concat([attribute(1, Buffer.from("abc")), attribute(2, Buffer.from([1, 2]))]));
    expect([all.text(1), all.bytes(2), all.bytes(3)]).toEqual(["abc", Buffer.from([1, 2]), undefined]);
  });

  it("may lie in each other", () => {
    const inner = attribute(7, Buffer.from([9]));
    expect(new Attributes(attribute(3, inner)).nested(3)?.u8(7)).toBe(9);
  });

  it("that are cut short end what is read", () => {
    const bytes = attribute(1, Buffer.from("abcdefgh"));
    expect(new Attributes(bytes.subarray(0, 8)).bytes(1)).toBeUndefined();
  });
});
