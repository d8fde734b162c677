// Few selectors for many connections, and never one that matches a connection which stays.
import { describe, expect, it } from "vitest";
import type { Connection } from "../../../src/plan/admission.js";
import { type Selector, selectorsOf } from "../../../src/plan/selectors.js";

function connection(source: string, sourcePort: number, destinationPort: number, mark = 1): Connection {
  const original = { source, destination: "2.2.2.11", sourcePort, destinationPort };
  const reply = { source: "10.0.0.7", destination: source, sourcePort: destinationPort, destinationPort: sourcePort };
  return { zone: 1, protocol: 6, original, reply, mark };
}

function matches(selector: Selector, { zone, protocol, mark, original }: Connection): boolean {
  const fields = { zone, protocol, mark, ...original };
  return Object.entries(selector).every(([name, value]) => fields[name as keyof typeof fields] === value);
}

const ports = Array.from({ length: 1000 }, (_, n) => 30_000 + n);

describe("selectors", () => {
  it("a thousand connections to one service are one", () => {
    const going = ports.map((port) => connection("1.1.1.7", port, 22));
    expect(selectorsOf(going, [connection("1.1.1.7", 5, 80)])).toEqual([
      { zone: 1, protocol: 6, mark: 1, destination: "2.2.2.11", destinationPort: 22 },
    ]);
  });

  it("those of one source are one, when others of the service stay", () => {
    const going = ports.map((port) => connection("1.1.1.7", port, 22));
    expect(selectorsOf(going, [connection("1.1.1.8", 5, 22)])).toEqual([
      { zone: 1, protocol: 6, mark: 1, source: "1.1.1.7" },
    ]);
  });

  it("a single one is named in full, when nothing less tells it from one that stays", () => {
    expect(selectorsOf([connection("1.1.1.7", 4, 22)], [connection("1.1.1.7", 5, 22)])).toEqual([
      { zone: 1, protocol: 6, source: "1.1.1.7", destination: "2.2.2.11", sourcePort: 4, destinationPort: 22 },
    ]);
  });

  it("match all that goes and nothing that stays, whatever the mixture", () => {
    const all = ports.map((port, n) => connection(`1.1.1.${n % 7}`, port, 20 + (n % 3), 1 + (n % 2)));
    const going = all.filter((_, n) => n % 5 < 2 || n % 7 === 0);
    const staying = all.filter((one) => !going.includes(one));
    const selectors = selectorsOf(going, staying);
    const hit = (one: Connection) => selectors.some((selector) => matches(selector, one));
    expect([going.every(hit), staying.some(hit)]).toEqual([true, false]);
  });

  it("nothing goes: none", () => expect(selectorsOf([], [connection("1.1.1.7", 5, 22)])).toEqual([]));
});
