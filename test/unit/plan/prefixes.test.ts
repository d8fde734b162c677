// Prefixes for stretches of numbers: a longest-prefix match over them says what the stretches say, and they are few.
import { describe, expect, it } from "vitest";
import { fewestPrefixes, type Prefix, prefixesOf, type Stretch } from "../../../src/plan/prefixes.js";
import { makeRandom } from "../../bpf/support/random.js";

const random = makeRandom();
const { integer, pick } = random;
const width = 8;

/** What a trie answers. */
function match(prefixes: readonly Prefix<string>[], number: number, otherwise: string): string {
  const hits = prefixes.filter(({ from, bits }) => number >= from && number < from + 2 ** (width - bits));
  return hits.sort((a, b) => b.bits - a.bits)[0]?.value ?? otherwise;
}

function randomStretches(): Stretch<string>[] {
  const stretches: Stretch<string>[] = [];
  for (let from = integer(0, 20); from < 256; ) {
    const to = Math.min(255, from + integer(0, 40));
    stretches.push({ range: { from, to }, value: pick(["a", "b", "c", "none"]) });
    from = to + 1 + pick([0, 0, integer(0, 30)]);
  }
  return stretches;
}

it("answer for every number as the stretches do, in 200 random cases", () => {
  for (let n = 0; n < 200; n++) {
    const stretches = randomStretches();
    const prefixes = fewestPrefixes(stretches, width, "none");
    const numbers = Array.from({ length: 256 }, (_, number) => number);
    const wanted = numbers.map(
      (number) => stretches.find(({ range }) => range.from <= number && number <= range.to)?.value ?? "none",
    );
    const seen = numbers.map((number) => match(prefixes, number, "none"));
    expect(seen, `case ${n} of XGW_TEST_SEED=${random.seed}`).toEqual(wanted);
  }
});

describe("are as few as can be", () => {
  const count = (...stretches: Stretch<string>[]) => fewestPrefixes(stretches, width, "none").length;
  const stretch = (from: number, to: number, value: string): Stretch<string> => ({ range: { from, to }, value });

  it("none for nothing", () => expect(count()).toBe(0));
  it("one for all", () => expect(count(stretch(0, 255, "a"))).toBe(1));
  it("two for all but one number", () =>
    expect(count(stretch(0, 21, "a"), stretch(22, 22, "b"), stretch(23, 255, "a"))).toBe(2));
  it("two for all but one number that has nothing", () =>
    expect(count(stretch(0, 21, "a"), stretch(23, 255, "a"))).toBe(2));
  it("one for two neighbours that make a whole", () => expect(count(stretch(6, 6, "a"), stretch(7, 7, "a"))).toBe(1));
});

it("of one range are that range, in 200 random cases", () => {
  for (let n = 0; n < 200; n++) {
    const [a, b] = [integer(0, 255), integer(0, 255)];
    const range = { from: Math.min(a, b), to: Math.max(a, b) };
    const numbers = prefixesOf(range, width).flatMap(({ from, bits }) =>
      Array.from({ length: 2 ** (width - bits) }, (_, at) => from + at),
    );
    const wanted = Array.from({ length: range.to - range.from + 1 }, (_, at) => range.from + at);
    expect(numbers, `${range.from}-${range.to}`).toEqual(wanted);
  }
});
