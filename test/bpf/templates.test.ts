// Header templates' places: given back when no flow leads to them, and never while one does.
import { mkdirSync } from "node:fs";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { u32 } from "../../src/datapath/layout.js";
import { templatePlaces, templatePool } from "../../src/model/desired.js";
import { datapathModules } from "./support/built.js";
import { Datapath } from "./support/datapath.js";
import { expectSent } from "./support/expectations.js";
import { makeNamespace, track, untrack } from "./support/kernel.js";
import { addressNumber } from "./support/types.js";
import { connectionOf, Direction, type TestConnection, testRunIfindex, user1, World } from "./support/world.js";

const { reclaimTemplates, templateStates } = datapathModules.templates;
const datapath = new Datapath();
const world = new World(datapath);
const namespace = makeNamespace();
const netns = namespace.path;
const pins = new datapathModules.pins.Pins(`templates${process.pid}`);
mkdirSync(`${pins.root}/maps`, { recursive: true });
for (const [name, map] of Object.entries({
  encaps: datapath.encaps.map,
  encaps_taken: datapath.encapsTaken.map,
  generations: datapath.generations.map,
  flows: datapath.flows.map,
  limits: datapath.limits.map,
  encap_usage: datapath.usages.encap.map,
  encap_returned: datapath.returned.encap,
}))
  map.pin(pins.map(name));
afterAll(() => {
  pins.removeAll();
  datapath[Symbol.dispose]();
});

beforeEach(() => {
  world.reset();
  untrack(namespace);
});

/** A connection whose packets leave to an endpoint of its own, learned if there is room. */
function learn(endpoint: string, port: number): TestConnection & { readonly moved: Direction } {
  const connection = connectionOf({ client: { address: "1.1.1.7", port } });
  track(namespace, connection);
  datapath.peers.set({ tenant: user1.id, address: addressNumber(endpoint) }, 1);
  const { fields } = connection.original;
  const moved = new Direction({ ...fields, leavesBy: { ...fields.leavesBy, endpoint } });
  const generation = datapath.generations.get(user1.id) ?? 0;
  datapath.transmit(moved.leaves(), netns, testRunIfindex, { generation });
  return { ...connection, moved };
}

const isLearned = ({ original }: TestConnection) => datapath.flows.has(original.key);
const expectForwarded = ({ original, moved }: ReturnType<typeof learn>) =>
  expectSent(datapath.receive(original.arrives(), { netns }), user1, moved.leaves());

/** Of the one template that there is. */
function setState(state: number): void {
  const [id = -1] = datapath.encapsInUse();
  const value = datapath.encaps.map.get(u32(id)) ?? Buffer.alloc(0);
  u32(state).copy(value);
  datapath.encaps.map.set(u32(id), value);
}

/** Takes every free place, as templates of tenants did that have gone. */
function fillUp(): number {
  const { map } = datapath.encaps;
  const value = Buffer.alloc(map.valueSize, 0xee);
  u32(templateStates.ready).copy(value);
  let filled = 0;
  for (let id = 0; id < map.maxEntries; id++)
    if (datapath.encapsTaken.get(id) === 0) {
      map.set(u32(id), value);
      datapath.encapsTaken.set(id, 1);
      filled++;
    }
  datapath.usages.encap.set(0, BigInt(map.maxEntries));
  return filled;
}

describe("a table that is full of templates without flows", () => {
  it("takes no new one, until the places are given back", async () => {
    const first = learn("172.168.0.21", 1);
    const filled = fillUp();
    const second = learn("172.168.0.22", 2);
    expect(isLearned(second), "learned in a full table").toBe(false);
    expect(await reclaimTemplates(pins, [user1.id])).toBe(filled);
    datapath.transmit(second.moved.leaves(), netns, testRunIfindex);
    expectForwarded(first);
    expectForwarded(second);
  });

  it("gives each place back once", async () => {
    fillUp();
    await reclaimTemplates(pins, [user1.id]);
    expect(await reclaimTemplates(pins, [user1.id], 0)).toBe(0);
  });
});

describe("a template", () => {
  it("stays as long as there is room", async () => {
    learn("172.168.0.21", 1);
    datapath.flows.clear();
    expect(await reclaimTemplates(pins, [user1.id])).toBe(0);
  });

  it("goes when there is none of what is anybody's", async () => {
    learn("172.168.0.21", 1);
    datapath.flows.clear();
    datapath.usages.encap.set(0, BigInt(templatePool));
    expect(await reclaimTemplates(pins, [user1.id])).toBe(1);
  });

  it("goes whose flows are of before a change to the tenant", async () => {
    learn("172.168.0.21", 1);
    datapath.generations.set(user1.id, 1);
    expect(await reclaimTemplates(pins, [user1.id], 0)).toBe(1);
  });

  it("that has gone is no template for a flow that still names it", async () => {
    const stale = learn("172.168.0.21", 1);
    datapath.generations.set(user1.id, 1);
    await reclaimTemplates(pins, [user1.id], 0);
    datapath.generations.set(user1.id, 0);
    expect(datapath.receive(stale.original.arrives(), { netns }).summary).toBe("pass, tenant 1: template");
  });

  it("stays when a flow comes to it in the last moment", async () => {
    const connection = learn("172.168.0.21", 1);
    const flow = datapath.flows.get(connection.original.key);
    datapath.flows.clear();
    const reclaimed = reclaimTemplates(pins, [user1.id], 0); // has looked at the flows, and waits
    if (flow) datapath.flows.set(connection.original.key, flow);
    expect(datapath.receive(connection.original.arrives(), { netns }).verdict, "while it is retired").toBe("pass");
    expect(await reclaimed).toBe(0);
    expectForwarded(connection);
  });

  it("that XDP has left gives its place back when no flow leads to it", async () => {
    learn("172.168.0.21", 1);
    setState(templateStates.left);
    datapath.flows.clear();
    expect(await reclaimTemplates(pins, [user1.id], 0)).toBe(1);
  });

  it("that XDP has left stays so, with its place, while a flow leads to it", async () => {
    const connection = learn("172.168.0.21", 1);
    setState(templateStates.left);
    expect(await reclaimTemplates(pins, [user1.id], 0)).toBe(0);
    expect(datapath.receive(connection.original.arrives(), { netns }).summary).toBe("pass, tenant 1: template");
  });

  it("retired by a run that was cut short is seen to by the next one", async () => {
    const connection = learn("172.168.0.21", 1);
    setState(templateStates.retired);
    await reclaimTemplates(pins, [user1.id], 0);
    expectForwarded(connection);
  });
});

describe("what a tenant may have of the table", () => {
  /** What is whose comes first is in use. */
  const poolIsTaken = () => {
    datapath.usages.encap.set(0, BigInt(templatePool));
    datapath.returned.encap.set(u32(0), Buffer.alloc(8));
  };
  const endpoints = [1, 2, 3].map((n) => `172.168.0.2${n}`);
  const learnEach = (firstPort = 1) => endpoints.map((endpoint, n) => isLearned(learn(endpoint, firstPort + n)));

  it("is its share when others have the rest, and a flow more stays with the kernel", () => {
    datapath.limits.set(0, { templates: 2 });
    poolIsTaken();
    expect(learnEach()).toEqual([true, true, false]);
    expect(datapath.losses.get(user1.id)?.templates_refused).toBe(1n);
  });

  it("is more than its share while there is some of what is anybody's", () => {
    datapath.limits.set(0, { templates: 2 });
    datapath.usages.encap.set(0, BigInt(templatePool - 1));
    datapath.usages.encap.set(user1.id, 2n);
    datapath.returned.encap.set(u32(0), Buffer.alloc(8));
    datapath.returned.encap.set(u32(user1.id), Buffer.alloc(8));
    expect(learnEach()).toEqual([true, false, false]);
  });

  it("is more than its share while nobody else has much", () => {
    datapath.limits.set(0, { templates: 2 });
    expect(learnEach()).toEqual([true, true, true]);
  });

  it("is what the config says of it", () => {
    datapath.limits.set(0, { templates: 2 });
    datapath.limits.set(user1.id, { templates: 3 });
    poolIsTaken();
    expect(learnEach()).toEqual([true, true, true]);
  });

  it("is not used up by templates that no flow leads to any more, once they are given back", async () => {
    datapath.limits.set(0, { templates: 2 });
    poolIsTaken();
    learnEach();
    datapath.generations.set(user1.id, 2);
    expect(await reclaimTemplates(pins, [user1.id])).toBe(2);
    poolIsTaken();
    expect(learnEach(11)).toEqual([true, true, false]);
  });

  it("is all of its share, wherever in the table the others' templates lie that have all that they may have", () => {
    const share = 30;
    const others = placesInRuns(templatePool + templatePlaces / 2 - share);
    datapath.limits.set(0, { templates: share });
    datapath.usages.encap.set(0, BigInt(others.length));
    for (const id of others) datapath.encapsTaken.set(id, 1);
    try {
      const ends = Array.from({ length: share }, (_, n) => `172.168.1.${n}`);
      expect(ends.filter((end, n) => !isLearned(learn(end, n + 1)))).toEqual([]);
    } finally {
      for (const id of others) datapath.encapsTaken.set(id, 0);
    }
  });
});

/** So many places, three of four: those that are free lie together as well. */
const placesInRuns = (count: number): number[] =>
  Array.from({ length: templatePlaces }, (_, id) => id)
    .filter((id) => id % 256 < 192)
    .slice(0, count);
