// Runs in the VM: builds gateways, measures them in interleaved rounds, prints one line of JSON.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { Generator, type Traffic } from "../generator.js";
import { makeConntrackRoom } from "../live/conntrack-room.js";
import { Injector, LostPackets } from "../live/injector.js";
import { addLane, Place } from "../live/wires.js";
import { pinnedCpu } from "../pinned.js";
import { type Carrier, carriers, Gateway } from "./gateway.js";
import {
  besideAt,
  type GuestEffort,
  type GuestResults,
  guestEfforts,
  openAt,
  openMax,
  resultMark,
  type Series,
  seriesNames,
  sizes,
  tenantsAt,
} from "./shape.js";

const bulkPayload = 1400;
const say = (line: string) => process.stderr.write(`${line}\n`);

/** One thing to be measured, once a round. */
interface Case {
  readonly name: string;
  readonly at: string;
  /** Nanoseconds a packet or a connection. */
  measure(round: number): number;
}

/** How often a measurement is tried that an emulated CPU was too slow for: a queue overflows, and a packet is lost. */
const attempts = 10;

function withoutLoss<T>(work: () => T): T {
  for (let attempt = 1; ; attempt++)
    try {
      return work();
    } catch (error) {
      if (!(error instanceof LostPackets) || attempt === attempts) throw error;
      say(`once more: ${error.message}`);
    }
}

/** @throws when packets of this kind are not all carried as they should be. */
function check(carrier: Carrier, injector: Injector, gateway: Gateway, traffic: Traffic): void {
  const packets = 64;
  const before = gateway.carried();
  injector.send(traffic, gateway.far, packets);
  const after = gateway.carried();
  const seen = { xdp: 0, flowtable: 0, stack: 0 };
  for (const by of carriers) seen[by] = after[by] - before[by];
  if (seen[carrier] !== packets)
    throw new Error(
      `${gateway.instance}: ${packets} packets of ${traffic.flows} flows, not all by ${carrier}: ${JSON.stringify(seen)}`,
    );
}

/** To, fro, and to: after these XDP has both directions. */
function connect(injector: Injector, gateway: Gateway, flows: number, base: number): number {
  const [to, fro] = [false, true].map((replies) => gateway.traffic(flows, { base, replies }));
  if (!to || !fro) return Number.NaN;
  return [to, fro, to].reduce((ns, traffic) => ns + injector.send(traffic, gateway.far, flows), 0);
}

/** So many at a time, that a lost packet costs no more than these once more. */
const opened = 4096;

function open(injector: Injector, gateway: Gateway, connections: number): void {
  const some = Math.min(connections, opened);
  for (let base = 0; base < connections; base += some) withoutLoss(() => connect(injector, gateway, some, base));
}

/** XDP and flowtable are the same gateway's, with XDP and learner or without. */
function tierCases(injector: Injector, whole: Gateway, netfilter: Gateway, effort: GuestEffort): Case[] {
  const most = Math.max(...effort.open);
  open(injector, whole, most);
  open(injector, netfilter, Math.min(most, openMax));
  const of = (carrier: Carrier, at: string, open: number, payload?: number): Case => {
    const gateway = carrier === "stack" ? netfilter : whole;
    // About as long in all tiers: the longer a measurement, the more others on the machine take from it.
    const packets = carrier === "xdp" ? effort.packets : effort.packets / 8;
    const traffic = gateway.traffic(open, payload === undefined ? {} : { payload });
    return {
      name: seriesNames[carrier],
      at,
      measure: (round) => {
        gateway.setXdp(carrier === "xdp");
        try {
          injector.send(traffic, gateway.far, 64);
          if (round === 0) check(carrier, injector, gateway, traffic);
          gateway.setLearner(carrier === "xdp");
          return injector.send(traffic, gateway.far, packets) / packets;
        } finally {
          gateway.setLearner(true);
          gateway.setXdp(carrier !== "stack");
        }
      },
    };
  };
  const points: [string, number, number?][] = [
    [sizes.small, 1],
    [sizes.bulk, 1, bulkPayload],
    ...effort.open.filter((open) => open > 1).map((open): [string, number] => [openAt(open), open]),
  ];
  return carriers.flatMap((carrier) =>
    points.filter(([, open]) => carrier !== "stack" || open <= openMax).map((point) => of(carrier, ...point)),
  );
}

/** Each turn takes connections that were not there before. */
class Connections {
  readonly #next = new Map<Gateway, number>();

  constructor(
    private readonly injector: Injector,
    private readonly effort: GuestEffort,
  ) {}

  /** Nanoseconds a connection. */
  private take(gateway: Gateway): number {
    const { connections, open } = this.effort;
    const base = this.#next.get(gateway) ?? Math.max(...open);
    this.#next.set(gateway, base + connections);
    return connect(this.injector, gateway, connections, base) / connections;
  }

  learned(gateway: Gateway, at: string): Case {
    return { name: seriesNames.connection, at, measure: () => this.take(gateway) };
  }

  unlearned(gateway: Gateway, at: string): Case {
    return {
      name: seriesNames.unlearned,
      at,
      measure: () => {
        gateway.setLearner(false);
        try {
          return this.take(gateway);
        } finally {
          gateway.setLearner(true);
        }
      },
    };
  }
}

/** One flow, again and again. */
function hotCase(injector: Injector, gateway: Gateway, at: string, effort: GuestEffort): Case {
  const traffic = gateway.traffic(1);
  withoutLoss(() => connect(injector, gateway, 1, 0));
  return {
    name: seriesNames.xdp,
    at,
    measure: (round) => {
      if (round === 0) check("xdp", injector, gateway, traffic);
      return injector.send(traffic, gateway.far, effort.packets) / effort.packets;
    },
  };
}

/** Packet by packet, until a packet has gone by XDP in both directions. Looking whether it did is not in the time. */
function birth(injector: Injector, gateway: Gateway, base: number): GuestResults["births"][number] {
  let ms = 0;
  for (let packets = 1; packets < 20; packets++) {
    const before = gateway.carried().xdp;
    const started = performance.now();
    for (const replies of [false, true]) injector.send(gateway.traffic(1, { base, replies }), gateway.far, 1);
    ms += performance.now() - started;
    if (gateway.carried().xdp - before === 2) return { packets, ms };
  }
  throw new Error("a connection did not get to XDP in 20 packets each way");
}

function births(injector: Injector, gateway: Gateway, count: number, first: number): GuestResults["births"] {
  let next = first;
  return Array.from({ length: count }, () => withoutLoss(() => birth(injector, gateway, next++)));
}

/** On the CPU that the host names: both halves of a wire are its work then. */
function onOneCpu<T>(work: () => T): T {
  const cpu = pinnedCpu();
  const pin = (list: string) => spawnSync("taskset", ["-apc", list, String(process.pid)], { stdio: "ignore" });
  if (cpu !== undefined) pin(cpu);
  try {
    return work();
  } finally {
    if (cpu !== undefined) pin(`0-${cpus().length - 1}`);
  }
}

function measure(cases: readonly Case[], effort: GuestEffort): Series[] {
  const series = cases.map(({ name, at }) => ({ name, at, times: [] as number[] }));
  for (let round = 0; round < effort.rounds; round++) {
    cases.forEach((test, index) => {
      series[index]?.times.push(withoutLoss(() => test.measure(round)));
    });
    say(`round ${round + 1} of ${effort.rounds}`);
  }
  return series;
}

/** Beyond all connections that are opened before. */
const firstBirth = 2 ** 20 - 2 ** 10;

/** Tells after each stage all that is known by then, for a host that waits no longer. */
async function main(effort: GuestEffort, tell: (results: GuestResults) => void): Promise<void> {
  makeConntrackRoom();
  writeFileSync("/proc/sys/net/core/netdev_max_backlog", "100000");
  const far = new Place("bench-far");
  const injector = new Injector(new Generator());
  const applySeconds: Record<number, number> = {};
  const create = async (instance: string, tenants: number, flows = 2 ** 18) => {
    const started = performance.now();
    const gateway = await Gateway.create(instance, tenants, far, flows);
    applySeconds[tenants] = Math.round((performance.now() - started) / 100) / 10;
    injector.addSink(gateway.far);
    say(`${instance}: ${tenantsAt(tenants)} after ${applySeconds[tenants]} s`);
    return gateway;
  };
  const [whole, netfilter] = await Promise.all([
    create("whole", 1, 8 * Math.max(...effort.open)), // a quarter full: of a fuller one, some buckets have no room left
    create("netfilter", 1),
  ]);
  netfilter.removeFlowtable();
  const wires = addLane(new Place("bench-wires"), far, "wire");
  injector.addSink(wires.farOut);
  const connections = new Connections(injector, effort);
  const one = tenantsAt(1);
  const series = onOneCpu(() =>
    measure(
      [
        {
          name: seriesNames.wires,
          at: sizes.small,
          measure: () => injector.send(whole.traffic(1), wires.out, effort.packets) / effort.packets,
        },
        ...tierCases(injector, whole, netfilter, effort),
        connections.learned(whole, one),
        connections.unlearned(whole, one),
      ],
      effort,
    ),
  );
  const born = onOneCpu(() => births(injector, whole, effort.births, firstBirth));
  const results = () => ({ kernel: release(), series, births: born, applySeconds });
  tell(results());

  for (const tenants of effort.tenants.filter((tenants) => tenants > 1)) {
    const gateway = await create(`many${tenants}`, tenants);
    const [at, beside] = [tenantsAt(tenants), besideAt(tenants)];
    series.push(
      ...onOneCpu(() =>
        measure(
          [
            hotCase(injector, whole, beside, effort),
            hotCase(injector, gateway, at, effort),
            connections.learned(whole, beside),
            connections.learned(gateway, at),
          ],
          effort,
        ),
      ),
    );
    tell(results());
  }
}

const [, , which] = process.argv;
if (which !== "quick" && which !== "full") throw new Error("usage: guest.js quick|full");
await main(guestEfforts[which], (results) => process.stdout.write(`\n${resultMark}${JSON.stringify(results)}\n`));
process.exit(0);
