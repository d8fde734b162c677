/** What is measured. */
import type { BpfObject, BpfProgram } from "libbpf-ts";
import { Datapath, loopback, type Sides, tenantKey } from "./datapath.js";
import {
  endpoints,
  type FrameOptions,
  faultOf,
  frame,
  innerOffset,
  ipv4,
  type Protocol,
  service,
  type Wrap,
} from "./frame.js";
import type { Generator, Traffic } from "./generator.js";
import type { Case } from "./measure.js";
import { names, templateCounts } from "./names.js";
import { load, u32 } from "./objects.js";
import type { Peer } from "./peer.js";
import type { Roads } from "./roads.js";

export const flowCounts = [1, 65_536, 1_048_576];
const most = Math.max(...flowCounts);
/** About 4,000; a power of two for the generator's sake. */
export const manyTenants = 4096;
const manyTenantsFlows = 65_536;
/** LINE_SPACING in bench/bpf/primitives.bpf.c */
const lineSpacing = 4;

const xdp = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 };

type Choice = Pick<Traffic, "base" | "tenants">;

function trafficOf(options: FrameOptions, flows: number, choice: Choice = {}): Traffic {
  return { frame: frame(options), inner: innerOffset(options.wrap), flows, ...choice };
}

/** A packet that goes up or away must be the packet that came. */
function unchanged(traffic: Traffic) {
  return (packet: Buffer) => (packet.length === traffic.frame.length ? undefined : "length");
}

export interface Bench {
  readonly cases: readonly Case[];
  readonly empty: BpfProgram;
  close(): void;
}

function primitives(object: BpfObject, generator: Generator): Case[] {
  const fillTraffic = { frame: Buffer.alloc(128), inner: 0, flows: most };
  for (const filler of ["hash_fill", "chase_fill"]) {
    generator.set(fillTraffic);
    const { retval } = object.program(filler).testRun({ data: fillTraffic.frame, repeat: most });
    if (retval !== xdp.tx) throw new Error(`${filler} failed`);
  }
  object.map("devices").set(u32(1), u32(1));
  const of = (name: string, program: string, flows: number, verdict = xdp.tx): Case => ({
    name,
    program: object.program(program),
    traffic: trafficOf({ wrap: "gretap", protocol: "tcp" }, flows),
    verdict,
  });
  return [
    of(names.parse, "parse", 1),
    ...flowCounts.map((flows) => of(names.hash, "hash_lookup", flows)),
    of(names.line, "chase_hot", 1),
    of(names.line, "chase", most),
    of(names.counter, "counter", 1),
    of(names.rewrite, "rewrite", 1),
    of(names.push, "head_push", 1),
    of(names.pop, "head_pop", 1),
    of(names.devmap, "redirect", 1, xdp.redirect),
  ];
}

function established(
  name: string,
  datapath: Datapath,
  options: FrameOptions,
  flows: number,
  { leaves = options.wrap, ...choice }: Choice & { readonly leaves?: Wrap } = {},
): Case {
  const { base = 0, tenants = 1 } = choice;
  return {
    name,
    program: datapath.program,
    traffic: trafficOf(options, flows, choice),
    verdict: xdp.tx,
    fault: (packet, walked) => {
      const number = base + walked;
      return faultOf(packet, leaves, options.protocol, number, tenantKey + (number % tenants));
    },
  };
}

const waysFlows = 65_536;
/** As the gateway asks: src/datapath/objects.ts. */
const waySeconds = 0.1;
const bridgedToRouted: Sides = { from: "gretap", to: "gre" };

/** The same flows over the same templates, once with the kernel asked for their ways, and once without. */
function waysCases(generator: Generator, { within }: Roads): { cases: Case[]; datapaths: Datapath[] } {
  const parts = templateCounts.flatMap((ends) =>
    [true, false].map((isAsked) => {
      const datapath = new Datapath(generator, { flows: 2 * waysFlows, ...(isAsked ? { waySeconds } : {}) });
      datapath.fill(bridgedToRouted, "udp", waysFlows, { ends });
      const traffic = trafficOf({ wrap: "gretap", protocol: "udp" }, waysFlows);
      const test: Case = {
        ...{ name: (isAsked ? names.waysAsked : names.waysUnasked)(ends), program: datapath.program, traffic, within },
        verdict: xdp.tx,
        fault: (packet, number) => {
          const end = ipv4(endpoints.to).readUInt32BE(0) + (number % ends);
          return packet.readUInt32BE(30) === end ? undefined : "tunnel endpoint";
        },
      };
      return { test, datapath };
    }),
  );
  return { cases: parts.map(({ test }) => test), datapaths: parts.map(({ datapath }) => datapath) };
}

const tunnelled: Sides = { from: "gretap", to: "gretap" };
const fromUplink: Sides = { from: "plain", to: "gretap" };
const toUplink: Sides = { from: "gretap", to: "plain" };

/** Real flows come as they come: were one kind there first, the other would find its places taken. */
function fillInTurn(datapath: Datapath, kinds: readonly (readonly [Sides, Protocol])[]): void {
  const chunk = most / 16;
  for (let first = 0; first < most; first += chunk)
    for (const [sides, protocol] of kinds) datapath.fill(sides, protocol, chunk, { first });
}

/** A gateway with a plain public side. A test run's packets come from the loopback device. */
function uplinkCases(datapath: Datapath): Case[] {
  const at = (flows: number, protocol: Protocol): Case[] => [
    established(
      protocol === "udp" ? names.fromUplinkUdp : names.fromUplinkTcp,
      datapath,
      { wrap: "plain", protocol },
      flows,
      { leaves: "gretap" },
    ),
    ...(protocol === "udp"
      ? [established(names.toUplinkUdp, datapath, { wrap: "gretap", protocol }, flows, { leaves: "plain" })]
      : []),
  ];
  return [...at(1, "tcp"), ...flowCounts.flatMap((flows) => at(flows, "udp"))];
}

function declined(name: string, datapath: Datapath, options: FrameOptions, flows: number, verdict: number): Case {
  const traffic = trafficOf(options, flows);
  return { name, program: datapath.program, traffic, verdict, fault: unchanged(traffic) };
}

/** Routed by the kernel's tables and sent to the other device: no tunnel, no NAT, no state. */
function forwarded(peer: Peer): Case {
  const traffic = trafficOf({ wrap: "plain", protocol: "tcp" }, 1);
  return {
    name: names.xdpForward,
    program: peer.program,
    traffic,
    verdict: xdp.redirect,
    fault: (packet) => (packet[innerOffset("plain") + 8] === 63 ? undefined : `TTL (for ${service.address})`),
    context: peer.context(traffic.frame.length),
    within: peer.within,
  };
}

/** Loads everything and fills all tables. */
export function prepare(generator: Generator, peer: Peer | undefined, roads: Roads): Bench {
  const object = load("bench-primitives", {
    sizes: { table: 2 * most, lines: lineSpacing * most },
    reuse: { bench: generator.state },
    variables: { underlay_address: ipv4(endpoints.gateway) },
  });
  const own = new Datapath(generator, { flows: 2 * most });
  const stock = new Datapath(generator, { prefix: "bench-stock-", flows: 2 * most });
  fillInTurn(own, [
    [tunnelled, "tcp"],
    [tunnelled, "udp"],
  ]);
  const uplink = new Datapath(generator, { flows: 2 * most, uplink: loopback });
  uplink.fill(fromUplink, "tcp", 1);
  fillInTurn(uplink, [
    [fromUplink, "udp"],
    [toUplink, "udp"],
  ]);
  const shared = new Datapath(generator, { flows: most, tenants: manyTenants });
  shared.fill(tunnelled, "udp", manyTenantsFlows);
  stock.fill(tunnelled, "tcp", most);
  const monitored = new Datapath(generator, { flows: 4096 });
  monitored.listen();
  const ways = waysCases(generator, roads);
  const tcp: FrameOptions = { wrap: "gretap", protocol: "tcp" };
  const udp: FrameOptions = { wrap: "gretap", protocol: "udp" };
  // GRE without Ethernet inside: no flow was taught for it, so that every packet misses.
  const missing: FrameOptions = { wrap: "gre", protocol: "tcp" };
  const cases = [
    ...primitives(object, generator),
    ...flowCounts.map((flows) => ({
      ...{ name: names.table, program: own.lookup, verdict: xdp.tx },
      traffic: trafficOf(udp, flows),
    })),
    ...flowCounts.flatMap((flows) => [
      established(names.establishedTcp, own, tcp, flows),
      established(names.establishedUdp, own, udp, flows),
      established(names.stockTcp, stock, tcp, flows),
      declined(names.miss, own, missing, flows, xdp.pass),
    ]),
    ...uplinkCases(uplink),
    established(names.oneOfMany, shared, udp, 1, { tenants: manyTenants, base: manyTenants / 2 }),
    established(names.manyInTurns, shared, udp, manyTenantsFlows, { tenants: manyTenants }),
    ...ways.cases,
    ...(peer ? [forwarded(peer)] : []),
    declined(names.unknownKey, own, { ...tcp, key: 4242 }, 1, xdp.drop),
    declined(names.monitoredDrop, monitored, { ...tcp, key: 4242 }, 1, xdp.drop),
    declined(names.stranger, own, { ...missing, outerSource: endpoints.stranger }, 1, xdp.drop),
  ];
  return {
    cases,
    empty: object.program("empty"),
    close: () => {
      for (const part of [...ways.datapaths, monitored, shared, uplink, stock, own, object]) part.close();
    },
  };
}
