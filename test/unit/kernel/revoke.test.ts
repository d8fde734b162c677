// What becomes of connections when the rules change.
import { beforeEach, expect, it, vi } from "vitest";
import { revokeConnections } from "../../../src/kernel/revoke.js";
import type { Connection } from "../../../src/plan/admission.js";
import { exampleText, stateOf } from "../plan/fixture.js";

const done: string[] = vi.hoisted(() => []);
const known = vi.hoisted((): { connections: Connection[] } => ({ connections: [] }));

vi.mock("../../../src/kernel/spawn.js", () => ({
  run: async (program: string, args: readonly string[], { input = "" } = {}) => {
    done.push([program, ...args].join(" "), input);
    return { code: 0, stdout: "", stderr: "" };
  },
}));

vi.mock("../../../src/kernel/conntrack.js", () => ({
  readConnections: (zones: ReadonlySet<number>) => {
    done.push(`read zones ${[...zones].join(", ")}`);
    return known.connections.filter(({ zone }) => zones.has(zone));
  },
  deleteConnections: (connections: Iterable<Connection>) => {
    for (const { zone, original } of connections) done.push(`delete ${original.destinationPort} of zone ${zone}`);
  },
}));

const connection = (zone: number, port: number): Connection => ({
  zone,
  protocol: 6,
  mark: 1,
  original: { source: "1.1.1.7", destination: "2.2.2.11", sourcePort: 40_000, destinationPort: port },
  reply: { source: "10.0.0.7", destination: "1.1.1.7", sourcePort: port, destinationPort: 40_000 },
});

beforeEach(() => {
  done.length = 0;
  known.connections = [connection(1, 22), connection(1, 80), connection(3, 22), connection(3, 80)];
});

it("what is no longer admitted is deleted, after conntrack may not take it up again", async () => {
  const { elements } = await stateOf(await exampleText());
  await revokeConnections("gw1", [{ kind: "connections.revoke", tenant: 1, all: false }], elements);
  expect(done.join("\n")).toBe(`nft -f -
add element ip xgw_gw1 no_pickup { 1 }
delete element ip xgw_gw1 no_pickup { 1 }
add element ip xgw_gw1 no_pickup { 1 }

read zones 1
delete 80 of zone 1`);
});

it("a tenant that has gone loses all", async () => {
  await revokeConnections("gw1", [{ kind: "connections.revoke", tenant: 3, all: true }], new Map());
  expect(done).toEqual(["read zones 3", "delete 22 of zone 3", "delete 80 of zone 3"]);
});

it("no revocation costs nothing", async () => {
  await revokeConnections("gw1", [{ kind: "generation.bump", tenant: 1 }], new Map());
  expect(done).toEqual([]);
});
