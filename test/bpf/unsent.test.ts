// What XDP sends by a NIC that does not take it is counted, by the NIC. The NICs are veths, which take nothing while their
// peers have neither an XDP program nor GRO.
import { statSync } from "node:fs";
import { BpfObject, inNetNamespace, interfaceIndex, type TypedMap } from "libbpf-ts";
import { afterAll, beforeEach, expect, it } from "vitest";
import { Datapath, objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import { macs, World } from "./support/world.js";

const namespace = makeNamespace();
const [arrival, farEnd] = namespace.veth;
const within = <T>(work: () => T extends PromiseLike<unknown> ? never : T) => inNetNamespace(namespace.path, work);
namespace.ip("link", "add", "out", "type", "veth", "peer", "name", "beyond");
for (const device of ["out", "beyond"]) namespace.ip("link", "set", device, "up");
/** Turns GRO on or off at a NIC's peer. */
const peerTakes = (peer: "v1" | "beyond", takes: boolean) =>
  namespace.exec("ethtool", "-K", peer, "gro", takes ? "on" : "off");
const out = within(() => interfaceIndex("out") as never) as number;

const datapath = new Datapath();
const world = new World(datapath);
/** The programs that count, for a network namespace. */
function watch(netnsInode: number): { readonly unsent: TypedMap<number, bigint[]> } & Disposable {
  const watcher = BpfObject.open(objectFile("unsent.bpf.o"));
  watcher.setVariable("netns_inode", netnsInode);
  watcher.reuseMap("bond_members", datapath.bondMembers.map);
  watcher.load();
  const links = [
    watcher.program("xgw_not_redirected").attachRawTracepoint("xdp_redirect_err"),
    watcher.program("xgw_not_taken").attachRawTracepoint("xdp_devmap_xmit"),
    watcher.program("xgw_not_transmitted").attachRawTracepoint("xdp_exception"),
    watcher.program("xgw_not_transmitted_at_once").attachRawTracepoint("xdp_bulk_tx"),
  ];
  const end = () => {
    for (const one of [...links, watcher]) one[Symbol.dispose]();
  };
  return { unsent: watcher.typedMap("unsent"), [Symbol.dispose]: end };
}

const watcher = watch(within(() => statSync("/proc/thread-self/ns/net").ino as never) as number);
const { unsent } = watcher;
const sender = BpfObject.open(objectFile("test-wire.bpf.o")).load();
const attached = within(
  () => datapath.xdpProgram.attachXdp({ ifindex: arrival, mode: "native" }) as never,
) as Disposable;
afterAll(() => {
  for (const one of [attached, sender, watcher, datapath]) one[Symbol.dispose]();
});

beforeEach(() => {
  world.reset();
  datapath.takeFrames(arrival, macs.gateway);
  for (const [nic] of [...unsent.entries()]) unsent.delete(nic);
  for (const [member] of [...datapath.bondMembers.entries()]) datapath.bondMembers.delete(member);
  peerTakes("v1", true);
  peerTakes("beyond", true);
  within(() => datapath.nics.set(out, out) as never);
});

/** A frame from the far end, really on its way; what is counted by then. */
function receive(frame: Buffer): Record<string, number> {
  const context = Buffer.alloc(256);
  context.writeUInt32LE(farEnd, 40);
  frame.copy(context, 48, 12, 14);
  const data = Buffer.from(frame);
  data.writeUInt16BE(0x88b5, 12);
  within(() => sender.program("wire_send").testRun({ data, context }) as never);
  const names = new Map([
    [arrival, "v0"],
    [out, "out"],
  ]);
  return Object.fromEntries(
    [...unsent.entries()].map(([nic, counts]) => [
      names.get(nic) ?? `${nic}`,
      Number(counts.reduce((sum, count) => sum + count, 0n)),
    ]),
  );
}

it("nothing, of what is sent", () => {
  const redirected = receive(world.establish({ ifindex: out }).original.arrives());
  const transmitted = receive(world.establish({ ifindex: arrival }).original.arrives());
  expect([redirected, transmitted]).toEqual([{}, {}]);
});

it("what is redirected to a NIC whose driver does not send it", () => {
  peerTakes("beyond", false);
  expect(receive(world.establish({ ifindex: out }).original.arrives())).toEqual({ out: 1 });
});

it("what is redirected to a NIC that is down", () => {
  namespace.ip("link", "set", "out", "down");
  const counted = receive(world.establish({ ifindex: out }).original.arrives());
  namespace.ip("link", "set", "out", "up");
  expect(counted).toEqual({ out: 1 });
});

it("what a NIC should transmit that it came in by", () => {
  peerTakes("v1", false);
  expect(receive(world.establish({ ifindex: arrival }).original.arrives())).toEqual({ v0: 1 });
});

it("of a bond's member, for the bond", () => {
  datapath.bondMembers.set(arrival, out);
  peerTakes("v1", false);
  expect(receive(world.establish({ ifindex: arrival }).original.arrives())).toEqual({ out: 1 });
});

it("nothing by a gateway in another network namespace", () => {
  using elsewhere = watch(1);
  peerTakes("v1", false);
  receive(world.establish({ ifindex: arrival }).original.arrives());
  expect([...elsewhere.unsent.entries()]).toEqual([]);
});
