// ARP out of a tunnel without a remote: real packets of a device that takes its remote from the packet, as gretap does.
// This kernel may have no GRE, so the device is a VXLAN one; xgw_arp knows no difference.
import { inNetNamespace, interfaceIndex } from "libbpf-ts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import { addressNumber } from "./support/types.js";
import { macs, user1, user2, World } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const { ip, exec, path } = makeNamespace();

const vxlanPort = 4789;
const endpoints = ["172.168.0.7", "172.168.0.11", "172.168.0.12"];

ip("addr", "add", "172.168.0.1/24", "dev", "v0");
for (const endpoint of endpoints) ip("neigh", "add", endpoint, "lladdr", macs.server, "dev", "v0", "nud", "permanent");
ip("link", "add", "tunnel", "type", "vxlan", "external", "dstport", `${vxlanPort}`);
ip("addr", "add", "10.0.0.1/8", "dev", "tunnel");
ip("link", "set", "tunnel", "up");
exec(
  "nft",
  `table ip watch {
    set sent { type ipv4_addr; flags dynamic; size 100; }
    chain out { type filter hook output priority filter; udp dport ${vxlanPort} update @sent { ip daddr }; }
  }`,
);
const ifindex = inNetNamespace(path, () => interfaceIndex("tunnel"));

beforeAll(() => {
  const attachment = inNetNamespace(path, () => datapath.arpProgram.attachTcx({ ifindex, direction: "egress" }));
  return () => attachment.close();
});

beforeEach(() => {
  world.reset();
  for (const key of [...datapath.endpoints.keys()]) datapath.endpoints.delete(key); // each test has its own
  exec("nft", "flush set ip watch sent");
  ip("neigh", "flush", "dev", "tunnel", "nud", "all");
  datapath.tunnels.set(ifindex, user1.id);
});

function endpoint(tenant: { id: number }, prefix: string, via: string): void {
  const [address = "", length] = prefix.split("/");
  const key = { prefixlen: 32 + Number(length), tenant: tenant.id, address: addressNumber(address) };
  datapath.endpoints.set(key, addressNumber(via));
}

/** The tunnel endpoints that the search for a neighbour went to. */
function searched(neighbour: string): string[] {
  exec("bash", "-c", `echo > /dev/udp/${neighbour}/9`);
  return exec("nft", "list set ip watch sent").match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
}

it("goes to the endpoint of the address that is asked for", () => {
  endpoint(user1, "10.0.0.7/32", "172.168.0.11");
  expect(searched("10.0.0.7")).toEqual(["172.168.0.11"]);
});

it("goes to the endpoint of the longest prefix", () => {
  endpoint(user1, "0.0.0.0/0", "172.168.0.7");
  endpoint(user1, "10.0.0.0/24", "172.168.0.11");
  endpoint(user1, "10.0.0.9/32", "172.168.0.12");
  expect(searched("10.0.0.9")).toEqual(["172.168.0.12"]);
});

it("goes by the default route when nothing else fits", () => {
  endpoint(user1, "0.0.0.0/0", "172.168.0.7");
  expect(searched("10.9.9.9")).toEqual(["172.168.0.7"]);
});

it("goes nowhere when the tenant has no route to the address", () => {
  endpoint(user1, "10.0.0.7/32", "172.168.0.11");
  expect(searched("10.0.0.8")).toEqual([]);
});

it("does not go by another tenant's routes", () => {
  endpoint(user2, "10.0.0.7/32", "172.168.0.12");
  expect(searched("10.0.0.7")).toEqual([]);
});

it("goes nowhere from a device that is no tenant's", () => {
  endpoint(user1, "10.0.0.7/32", "172.168.0.11");
  datapath.tunnels.delete(ifindex);
  expect(searched("10.0.0.7")).toEqual([]);
});

it("IP packets are not directed: their route does that", () => {
  endpoint(user1, "10.0.0.7/32", "172.168.0.11");
  ip("neigh", "replace", "10.0.0.7", "lladdr", macs.innerServer, "dev", "tunnel", "nud", "permanent");
  expect(searched("10.0.0.7")).toEqual([]);
});

it("an ARP packet cut short does no harm", () => {
  endpoint(user1, "10.0.0.7/32", "172.168.0.11");
  const whole = packet.arp({
    operation: "reply",
    senderMac: macs.innerGateway,
    sender: "10.0.0.1",
    targetMac: macs.innerServer,
    target: "10.0.0.7",
  });
  const next = -1;
  for (let length = 15; length <= whole.length; length++) {
    const { retval, data } = datapath.directArp(whole.subarray(0, length), path, ifindex);
    expect([retval | 0, data.length], `verdict and length of a frame of ${length} bytes`).toEqual([next, length]);
  }
});

describe("a request out of a tunnel", () => {
  const request = (sender: string) =>
    packet.arp({
      operation: "request",
      senderMac: macs.innerServer,
      sender,
      targetMac: "00:00:00:00:00:00",
      target: "10.0.0.1",
    });
  const ask = (sender = "10.0.0.7", frame = request(sender)) => datapath.askedByArp(frame, path, ifindex);
  beforeEach(() => {
    datapath.limits.set(user1.id, { neighbours: 2 });
    datapath.setNeighbours(user1.id, 2);
  });
  afterEach(() => datapath.setNeighbours(user1.id, 0));

  it("goes to the kernel while the tenant may have a neighbour more", () => {
    datapath.setNeighbours(user1.id, 1);
    expect(ask()).toBe("next");
  });

  it("is dropped at the limit, and counted", () => {
    const before = datapath.packetsOf(user1.id, "neighbours");
    expect(ask()).toBe("drop");
    expect(datapath.packetsOf(user1.id, "neighbours") - before).toBe(1);
  });

  it.each([1, 2, 30])("is dropped behind tags that the kernel takes off after it, %i of them", (tags) => {
    const frame = request("10.0.0.7");
    const tag = Buffer.from("81000000", "hex");
    const tagged = Buffer.concat([frame.subarray(0, 12), ...Array<Buffer>(tags).fill(tag), frame.subarray(12)]);
    expect(ask("10.0.0.7", tagged)).toBe("drop");
  });

  it("from a device that is no tenant's is none of ours", () => {
    datapath.tunnels.delete(ifindex);
    expect(ask()).toBe("next");
  });

  it("is all that is looked at: not IP, nor what is cut short before the sender's address", () => {
    const ip = packet.ethernet(
      { src: macs.innerServer, dst: macs.innerGateway },
      packet.ipv4({ src: "10.0.0.7", dst: "10.0.0.1" }, packet.raw(1, Buffer.alloc(40))),
    );
    expect([ask("", ip), ask("", request("10.0.0.7").subarray(0, 31))]).toEqual(["next", "next"]);
  });
});
