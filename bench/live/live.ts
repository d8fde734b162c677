/** Packets that are really received and sent: xgw beside a bare redirect and beside the kernel's NAT, over veth. */
import { flowCounts } from "../cases.js";
import { Datapath } from "../datapath.js";
import { type FrameOptions, frame, innerOffset, type Wrap } from "../frame.js";
import type { Gate } from "../gates.js";
import { Generator, type Traffic } from "../generator.js";
import { load, u32 } from "../objects.js";
import type { Figure, Section } from "../section.js";
import { spreadOf } from "../stats.js";
import { makeConntrackRoom } from "./conntrack-room.js";
import { Injector, type Port } from "./injector.js";
import { checkConnections, establish, kernelLane, natTraffic } from "./kernel-nat.js";
import { addLane, type Lane, Place } from "./wires.js";

const efforts = { quick: { rounds: 11, packets: 65_536 }, full: { rounds: 25, packets: 262_144 } };
const most = Math.max(...flowCounts);
const names = {
  wires: "wires alone, no gateway",
  bare: "bare devmap redirect",
  gre: "xgw, GRE→GRE",
  plain: "xgw, plain→GRE",
  nat: "kernel, nft DNAT",
};

interface Case {
  readonly name: string;
  readonly traffic: Traffic;
  readonly from: Port;
}

/** Things to be closed, the last one first. */
type Cleanup = (() => void)[];

function xgwLane(gateway: Place, far: Place, generator: Generator, from: Wrap, cleanup: Cleanup): Lane {
  const lane = addLane(gateway, far, `xgw-${from}`);
  const datapath = new Datapath(generator, { flows: 2 * most, uplink: from === "plain" ? lane.in.ifindex : 0 });
  cleanup.push(() => datapath.close());
  gateway.within(() => datapath.addNic(lane.out.ifindex));
  datapath.takeFrames(lane.in.ifindex);
  datapath.fill({ from, to: "gretap" }, "udp", most, { ifindex: lane.out.ifindex });
  const link = gateway.within(() => datapath.program.attachXdp({ ifindex: lane.in.ifindex, mode: "native" }));
  cleanup.push(() => link.close());
  return lane;
}

function bareLane(gateway: Place, far: Place, cleanup: Cleanup): Lane {
  const lane = addLane(gateway, far, "bare");
  const object = load("bench-live");
  cleanup.push(() => object.close());
  const link = gateway.within(() => {
    object.map("way").set(u32(0), u32(lane.out.ifindex));
    return object.program("send").attachXdp({ ifindex: lane.in.ifindex, mode: "native" });
  });
  cleanup.push(() => link.close());
  return lane;
}

/** All lanes, ready to be measured. What it makes is undone by `cleanup`. */
function prepare(cleanup: Cleanup): { injector: Injector; cases: Case[] } {
  const restore = makeConntrackRoom();
  cleanup.push(restore);
  const place = (name: string) => {
    const made = new Place(`xgw-bench-${process.pid}-${name}`);
    cleanup.push(() => made.remove());
    return made;
  };
  const [gateway, far] = [place("gateway"), place("far")];
  const generator = new Generator();
  cleanup.push(() => generator.close());
  const injector = new Injector(generator);
  cleanup.push(() => injector.close());

  const bare = bareLane(gateway, far, cleanup);
  const tunnel = xgwLane(gateway, far, generator, "gretap", cleanup);
  const uplink = xgwLane(gateway, far, generator, "plain", cleanup);
  const kernel = kernelLane(gateway, far);
  for (const { farOut } of [bare, tunnel, uplink, kernel]) injector.addSink(farOut);
  injector.addSink(kernel.farIn);
  establish(injector, kernel, most);
  checkConnections(gateway, most);
  const gre: FrameOptions = { wrap: "gretap", protocol: "udp" };
  const tunnelled = (flows: number): Traffic => ({ frame: frame(gre), inner: innerOffset("gretap"), flows });
  const cases = [
    { name: names.wires, traffic: tunnelled(1), from: bare.out },
    { name: names.bare, traffic: tunnelled(1), from: bare.farIn },
    ...flowCounts.flatMap((flows) => [
      { name: names.gre, traffic: tunnelled(flows), from: tunnel.farIn },
      { name: names.plain, traffic: natTraffic(flows), from: uplink.farIn },
      { name: names.nat, traffic: natTraffic(flows), from: kernel.farIn },
    ]),
  ];
  return { injector, cases };
}

/** Nanoseconds a packet of each case, in each round. */
function measure(injector: Injector, cases: readonly Case[], effort: { rounds: number; packets: number }): number[][] {
  const times = cases.map(() => [] as number[]);
  for (let round = 0; round < effort.rounds; round++)
    cases.forEach(({ traffic, from }, index) => {
      injector.send(traffic, from, Math.min(effort.packets, Math.max(traffic.flows, 1024)));
      times[index]?.push(injector.send(traffic, from, effort.packets) / effort.packets);
    });
  return times;
}

function gatesOf(figures: readonly Figure[]): Gate[] {
  const of = (name: string, flows: number) =>
    figures.find((figure) => figure.name === name && figure.at === at(flows))?.value ?? Number.NaN;
  const gate = (name: string, wanted: number, measured: number, atLeast = false): Gate => ({
    name: `live frames: ${name}`,
    wanted,
    unit: "×",
    atLeast,
    measured,
  });
  const wanted = [4, 3, 4];
  return [
    gate("xgw ÷ bare devmap redirect, total time, 1 flow", 1.2, of(names.gre, 1) / of(names.bare, 1)),
    ...[names.gre, names.plain].flatMap((name) =>
      flowCounts.map((flows, index) =>
        gate(
          `kernel, nft DNAT ÷ ${name}, ${at(flows)}`,
          wanted[index] ?? 0,
          of(names.nat, flows) / of(name, flows),
          true,
        ),
      ),
    ),
  ];
}

const at = (flows: number) => `${flows.toLocaleString("en")} flow${flows > 1 ? "s" : ""}`;

const text = [
  "Packets are made by the generator in live test runs (`BPF_F_TEST_XDP_LIVE_FRAMES`), sent out of the far end of a veth " +
    "pair, received by the program attached to (or by the kernel behind) its near end, sent out of a second pair and counted " +
    "by an XDP program at its far end: nanoseconds a packet for all of that, on one CPU, of which *wires alone* is what is " +
    "no gateway's. Each time as many packets arrive as were sent, or the run fails. Time that the kernel's softirq thread " +
    "takes over is counted. The first figure is the least of all rounds; packets of many flows come in pseudo-random order.",
  "The kernel forwards plain IP packets by nft DNAT with address and port from a map, all connections established and in " +
    "conntrack, GRO on. xgw gets the same packets at its plain uplink and sends them on in GRE with Ethernet inside, or gets " +
    "and sends them so, 56 bytes longer than the kernel's: this machine's kernel knows no GRE. All carry UDP with 64 bytes. " +
    "xgw's flows are not in conntrack here and not asked for there.",
];

export const live: Section = {
  id: "live",
  title: "Live packets over veth",
  run: async ({ effort, say }) => {
    const cleanup: Cleanup = [];
    try {
      const { injector, cases } = prepare(cleanup);
      say("prepared");
      const figures = measure(injector, cases, efforts[effort]).map((times, index): Figure => {
        const { name = "", traffic } = cases[index] ?? {};
        const spread = spreadOf(times);
        const better = name === names.nat || name === names.wires ? "neither" : "less";
        return { name, at: at(traffic?.flows ?? 0), value: spread.min, unit: "ns", better, spread };
      });
      const least = (name: string, flows: number) =>
        figures.find((figure) => figure.name === name && figure.at === at(flows))?.value;
      const plot = {
        title: "Live packets, all in all",
        unit: "ns",
        categories: flowCounts.map(at),
        series: [names.wires, names.bare, names.gre, names.plain, names.nat].map((name) => ({
          name,
          values: flowCounts.map((flows) => least(name, flows)),
        })),
      };
      return { text, figures, gates: gatesOf(figures), plots: { live: plot } };
    } finally {
      for (const undo of cleanup.reverse()) undo();
    }
  },
};
