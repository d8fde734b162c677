// What a packet bears from where it comes in to where it leaves: the generation in which its tenant was then, and the side.
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath, enteredIn } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import { connectionOf, macs, user1, World } from "./support/world.js";

const namespace = makeNamespace();
const [tunnel, uplink] = namespace.veth;
const datapath = new Datapath({ uplink: { ifindex: uplink, tags: [], mac: macs.gateway } });
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => {
  world.reset();
  datapath.tunnels.set(tunnel, user1.id);
});

const frame = connectionOf({}).original.arrives();
const comeOut = (tcIndex = 0, mark = 0) => datapath.comeOut(frame, namespace.path, tunnel, tcIndex, mark);
const handedOver = 0x8000_0000; // XGW_MARK_UPLINK

describe("a packet out of a tunnel", () => {
  it("bears its tenant's generation", () => {
    datapath.generations.set(user1.id, 6);
    expect(comeOut()).toBe(enteredIn(6));
  });

  it("bears as much of a large one as there is room for", () => {
    datapath.generations.set(user1.id, 0x1234_5678);
    expect(comeOut()).toBe(0x8000 | 0x1678);
  });

  it("bears nothing of what it has brought from elsewhere", () => {
    datapath.generations.set(user1.id, 6);
    expect(comeOut(enteredIn(4))).toBe(enteredIn(6));
    expect(comeOut(enteredIn(6, true)), "not by the uplink, whatever another namespace's root has written").toBe(
      enteredIn(6),
    );
  });

  it("bears what the uplink's program has given it, when that has handed it over", () => {
    datapath.generations.set(user1.id, 6);
    expect(comeOut(enteredIn(4, true), handedOver)).toBe(enteredIn(4, true));
  });

  it("of nobody's bears nothing", () => {
    datapath.tunnels.delete(tunnel);
    expect(comeOut()).toBe(0);
  });
});

describe("a packet from the uplink", () => {
  beforeAll(() => void execFileSync("ip", ["-n", namespace.name, "link", "set", "v1", "address", macs.gateway]));

  it("bears the generation of its public address's tenant, and its side", () => {
    const connection = connectionOf({ plain: true });
    world.publish(connection);
    datapath.generations.set(user1.id, 8);
    expect(datapath.comeInMarked(connection.original.arrives(), namespace.path, uplink)).toBe(enteredIn(8, true));
  });
});
