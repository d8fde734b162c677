import { describe, expect, it } from "vitest";
import type { PolicyCell, Range } from "../../../src/model/desired.js";
import { anyAddress } from "../../../src/model/ipv4.js";
import {
  anyPort,
  anyProtocol,
  compilePolicy,
  maxPolicyCells,
  type PolicyRule,
  PolicyTooLargeError,
} from "../../../src/model/policy.js";

interface Tuple {
  readonly protocol: number;
  readonly address: number;
  readonly port: number;
}

const tcp: Range = { from: 6, to: 6 };
const one = (value: number): Range => ({ from: value, to: value });

function rule(
  verdict: "allow" | "deny",
  protocol: Range,
  ports: readonly Range[] = [anyPort],
  address = anyAddress,
): PolicyRule {
  return { verdict, protocol, ports, address };
}

function within(value: number, range: Range): boolean {
  return range.from <= value && value <= range.to;
}

/** What the config means: the index of the first rule that matches. */
function firstMatch(rules: readonly PolicyRule[], tuple: Tuple): number | undefined {
  const index = rules.findIndex(
    ({ protocol, address, ports }) =>
      within(tuple.protocol, protocol) &&
      within(tuple.address, address) &&
      ports.some((port) => within(tuple.port, port)),
  );
  return index < 0 ? undefined : index;
}

function cellsAt(cells: readonly PolicyCell[], tuple: Tuple): PolicyCell[] {
  return cells.filter(
    ({ protocol, address, port }) =>
      within(tuple.protocol, protocol) && within(tuple.address, address) && within(tuple.port, port),
  );
}

/** A small generator of numbers that repeat with their seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Rules that often meet: few protocols, nested prefixes, narrow and wide ports. */
function randomRules(random: (below: number) => number): PolicyRule[] {
  const protocols = [one(1), tcp, one(17), anyProtocol, one(47)];
  return Array.from({ length: 1 + random(12) }, () => {
    const length = [0, 0, 8, 9, 10, 24, 32][random(7)] as number;
    const size = 2 ** (32 - length);
    const from = length === 0 ? 0 : Math.floor((0x0a00_0000 + random(2 ** 24)) / size) * size;
    const protocol = protocols[random(protocols.length)] as Range;
    const ports = Array.from({ length: 1 + random(3) }, () => {
      const low = random(40);
      return { from: low, to: low + random(20) };
    });
    const withPorts = protocol.from === protocol.to && protocol.from !== 1 && protocol.from !== 47 && random(3) > 0;
    return rule(random(2) === 0 ? "allow" : "deny", protocol, withPorts ? ports : [anyPort], {
      from,
      to: from + size - 1,
    });
  });
}

/** Tuples at and beside every edge of the rules, where mistakes live. */
function edgeTuples(rules: readonly PolicyRule[], random: (below: number) => number): Tuple[] {
  const edges = (ranges: readonly Range[], most: number) =>
    ranges.flatMap(({ from, to }) => [from - 1, from, to, to + 1]).filter((value) => value >= 0 && value <= most);
  const pick = (values: readonly number[]) => values[random(values.length)] as number;
  const protocols = edges(
    rules.map(({ protocol }) => protocol),
    255,
  );
  const addresses = edges(
    rules.map(({ address }) => address),
    anyAddress.to,
  );
  const ports = edges(
    rules.flatMap((each) => each.ports),
    anyPort.to,
  );
  return Array.from({ length: 200 }, () => ({
    protocol: pick(protocols),
    address: pick(addresses),
    port: pick(ports),
  }));
}

describe("compiled cells say what the rules say", () => {
  it("for 300 random rule lists, at and beside every edge", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomNumbers(seed);
      const rules = randomRules(random);
      const cells = compilePolicy(rules);
      for (const tuple of edgeTuples(rules, random)) {
        const wanted = firstMatch(rules, tuple);
        const seen = cellsAt(cells, tuple).map((cell) => [cell.rule, cell.verdict]);
        const said = wanted === undefined ? [] : [[wanted, rules[wanted]?.verdict]];
        expect(seen, `seed ${seed}, ${JSON.stringify(tuple)}, rules ${JSON.stringify(rules)}`).toEqual(said);
      }
    }
  });

  it("and no two cells ever overlap, for 100 random rule lists", () => {
    const meet = (a: Range, b: Range) => a.from <= b.to && b.from <= a.to;
    for (let seed = 1001; seed <= 1100; seed++) {
      const cells = compilePolicy(randomRules(randomNumbers(seed)));
      const clashes = cells.flatMap((a, index) =>
        cells
          .slice(index + 1)
          .filter((b) => meet(a.protocol, b.protocol) && meet(a.address, b.address) && meet(a.port, b.port))
          .map((b) => [a, b]),
      );
      expect(clashes, `seed ${seed}`).toEqual([]);
    }
  });
});

describe("a compiled policy stays small", () => {
  const hundredPorts = Array.from({ length: 100 }, (_, index) => rule("deny", tcp, [one(1000 + 2 * index)]));

  it("100 rules of a port each are 100 cells", () => {
    expect(compilePolicy(hundredPorts)).toHaveLength(100);
  });

  it("100 denied ports and the rest allowed are 100 cells, the 101 gaps, and the protocols on both sides", () => {
    expect(compilePolicy([...hundredPorts, rule("allow", anyProtocol)])).toHaveLength(100 + 101 + 2);
  });

  it("ports that follow each other in one rule are one cell", () => {
    const ports = [one(22), { from: 23, to: 30 }, { from: 25, to: 40 }];
    expect(compilePolicy([rule("allow", tcp, ports)]).map((cell) => cell.port)).toEqual([{ from: 22, to: 40 }]);
  });

  it("a port that is open to all is one cell, however many prefixes are treated apart for another", () => {
    const prefixes = Array.from({ length: 50 }, (_, index) =>
      rule("allow", tcp, [one(443)], { from: index * 1000, to: index * 1000 + 99 }),
    );
    const cells = compilePolicy([rule("allow", tcp, [one(22)]), ...prefixes]);
    expect(cells).toHaveLength(51);
  });

  it("a rule that never decides has no cell", () => {
    const cells = compilePolicy([rule("allow", anyProtocol), rule("deny", tcp, [one(22)])]);
    expect(cells.map((cell) => cell.rule)).toEqual([0]);
  });

  it("500 ports and 500 prefixes", () => {
    const ports = Array.from({ length: 500 }, (_, index) => rule("allow", tcp, [one(index * 2)]));
    const prefixes = Array.from({ length: 500 }, (_, index) =>
      rule("deny", tcp, [one(50_001)], { from: index * 1000, to: index * 1000 + 99 }),
    );
    expect(compilePolicy([...ports, ...prefixes]).length).toBe(1000);
  });

  it("rules that cut each other into too many pieces are refused before memory runs out", () => {
    const crossing = Array.from({ length: 300 }, (_, index) => [
      rule("deny", anyProtocol, [anyPort], { from: index * 1000, to: index * 1000 }),
      rule("deny", tcp, [one(index * 2)]),
    ]).flat();
    expect(() => compilePolicy([...crossing, rule("allow", anyProtocol)])).toThrow(PolicyTooLargeError);
    expect(maxPolicyCells).toBe(16_384);
  });
});

describe("the words of the design's example", () => {
  it("deny tcp 22, allow the rest: the port, both sides of it, and the other protocols", () => {
    const cells = compilePolicy([rule("deny", tcp, [one(22)]), rule("allow", anyProtocol)]);
    const shown = cells.map(
      ({ protocol, port, verdict }) => `${protocol.from}-${protocol.to} ${port.from}-${port.to} ${verdict}`,
    );
    expect(shown).toEqual([
      "0-5 0-65535 allow",
      "6-6 0-21 allow",
      "6-6 22-22 deny",
      "6-6 23-65535 allow",
      "7-255 0-65535 allow",
    ]);
  });

  it("an empty list has no cell: everything is denied", () => {
    expect(compilePolicy([])).toEqual([]);
  });
});
