// The parts of the test of changes: what is drawn, and when something counts as right.
import { describe, expect, it } from "vitest";
import { drawChange } from "../../../vm/changes/changes.js";
import { type Flow, packetOf } from "../../../vm/changes/flows.js";
import { answerOf, judge, leftFor, type Probe } from "../../../vm/changes/judge.js";
import { drawTenants, nics, routers, servers } from "../../../vm/changes/site.js";
import { summarize } from "../../../vm/changes/summary.js";
import { World } from "../../../vm/changes/world.js";
import { parseChangesArgs } from "../../../vm/changes-args.js";
import { stream } from "../../../vm/frames/stream.js";
import { UsageError } from "../../../vm/usage.js";
import { arp } from "../../bpf/support/packet.js";

const probesOf = (...answers: readonly [atMs: number, reference: string, seen: string][]): Probe[] =>
  answers.map(([atMs, reference, seen]) => ({ atMs, reference, seen }));

describe("a side of a connection is right", () => {
  it("at once where both gateways always give the same answer", () => {
    expect(judge(probesOf([10, "a", "a"], [100, "b", "b"])).rightAfterMs).toBe(0);
  });

  it("from the last wrong packet on, counted from the reference's last answer", () => {
    const probes = probesOf([10, "a", "a"], [500, "b", "a"], [900, "b", "a"], [1000, "b", "b"]);
    expect(judge(probes).rightAfterMs).toBe(400);
  });

  it("never, where the last packet is wrong", () => {
    expect(judge(probesOf([10, "a", "a"], [500, "b", "a"])).rightAfterMs).toBeUndefined();
  });

  it("where it gives the reference's last answer before the reference does", () => {
    expect(judge(probesOf([10, "a", "a"], [500, "a", "b"], [900, "b", "b"])).rightAfterMs).toBe(0);
  });
});

const world = () => new World(drawTenants(stream(1, "tenants")));
const tuple = { protocol: "udp", src: servers[0], sport: 1, dst: "9.9.1.7", dport: 2 } as const;
const party = { tenant: 0, address: servers[0] };
const side = { name: "", party, tuple, numbers: [0, 0] } as const;

describe("a packet", () => {
  it("is known by its number when it has left", () => {
    const left = [packetOf(world(), side, 5, 64), packetOf(world(), side, 6, 64)];
    expect(leftFor(6, left)).toEqual([left[1]]);
  });

  it("has the same answer as another one that left alike", () => {
    const at = (number: number) => answerOf([packetOf(world(), side, number, 64)]);
    expect(at(5)).toBe(at(6));
    expect(answerOf([packetOf(world(), { ...side, tuple: { ...tuple, dport: 3 } }, 5, 64)])).not.toBe(at(5));
    expect(answerOf([])).toBe("nothing");
  });
});

describe("whoever is on the wires", () => {
  const ask = (around: World, targetMac: string) => {
    const frame = arp({
      operation: "request",
      senderMac: nics[0].mac,
      sender: "172.168.0.1",
      targetMac,
      target: routers[0],
    });
    if (targetMac !== "ff:ff:ff:ff:ff:ff") Buffer.from(targetMac.replaceAll(":", ""), "hex").copy(frame);
    return around.answerTo({ wire: 0, frame });
  };

  it("answers who asks all, or them", () => {
    const around = world();
    expect(ask(around, "ff:ff:ff:ff:ff:ff")).toBeDefined();
    expect(ask(around, around.macOf(routers[0]))).toBeDefined();
  });

  it("does not hear who asks their old MAC address", () => {
    const around = world();
    const old = around.macOf(routers[0]);
    around.changeMac(routers[0]);
    expect(ask(around, old)).toBeUndefined();
  });
});

describe("changes", () => {
  it("are drawn of all kinds", () => {
    const names = new Set<string>();
    const flow: Flow = { name: "a flow", sides: [side, side] };
    for (let number = 0; number < 800; number++) {
      const around = world();
      if (number % 2 === 0) around.deadWires.add(1);
      around.wayOutShut = number % 4 < 2;
      const random = stream(1, "change", number);
      names.add(drawChange({ random, world: around, flows: [flow], hasDaemon: number % 3 === 0 }).name);
    }
    expect([...names].sort()).toEqual([
      ...["MAC announced", "MAC changed in silence", "MTU of a NIC", "MTU of a route", "NAT changed", "better route"],
      ...["better route gone", "carrier gone", "connection deleted", "daemon ends", "daemon starts", "endpoint moved"],
      ...["host's MAC announced", "host's MAC changed in silence", "key changed", "link down", "links up"],
      ...["neighbour deleted", "path MTU", "policy changed", "route deleted", "route in another table"],
      ...["route replaced", "routes as at first", "rule", "rule gone", "unreachable", "way out open", "way out shut"],
    ]);
  });
});

describe("a run", () => {
  const sent = { packets: 100, arrived: 50, byXdp: 30, refusedByLearnedMtu: 0 };
  const seed = { seed: 1, changes: [], ...sent, faults: [], seconds: 1 };
  const faults = (change: object) =>
    summarize({ kernel: "", errors: [], seeds: [{ ...seed, ...change }] }).faults.map((fault) =>
      fault.split(" ").at(-1),
    );

  it("has failed with one mismatch, or where XDP has sent too little to say anything", () => {
    expect(faults({})).toEqual([]);
    expect(faults({ faults: ["seed 1: …"] })).toEqual(["mismatches"]);
    expect(faults({ byXdp: 3 })).toEqual(["3"]);
  });

  it("takes the arguments of its usage, and no others", () => {
    expect(parseChangesArgs(["--seed", "3", "--changes", "50"])).toMatchObject({ seed: 3, seeds: 25, changes: 50 });
    expect(() => parseChangesArgs(["--seeds", "20", "--changes", "10"])).toThrow(UsageError);
    expect(() => parseChangesArgs(["--chances", "10"])).toThrow(UsageError);
  });
});
