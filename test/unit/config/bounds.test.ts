// What a file may become: small files that grow, and others that keep a reader busy. Before there were bounds, each of those
// that are read here took minutes or more memory than there is.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inTime, TooSlowError } from "../../../src/config/in-time.js";
import { maxParseMs, parseSource, SourceError } from "../../../src/config/source.js";
import { parseText, TooLongError } from "../../../src/config/yaml-text.js";
import { compilePolicy, PolicyTooLargeError } from "../../../src/model/policy.js";
import { head, load, tenant } from "./fixture.js";

const lines = (count: number, line: (n: number) => string) => Array.from({ length: count }, (_, n) => line(n)).join("");

/** What a text is refused for; the value where it is not. */
function read(text: string): unknown {
  try {
    return parseSource("xgw.yaml", text).value;
  } catch (thrown) {
    if (!(thrown instanceof SourceError)) throw thrown;
    return thrown.problems.map(({ line, message, remedy }) => `${line}: ${message}; ${remedy}`);
  }
}

describe("aliases", () => {
  it("a thousand of one list of 8,000 rules are refused: by file, line, count, limit and remedy", async () => {
    const rules = lines(8000, (n) => `  - { allow: tcp, ports: [${n + 1}] }\n`);
    const tenants = lines(1000, (n) => tenant(`t${n}`, n + 1, "policy: { inbound: *rules }"));
    const { errors } = await load({
      "xgw.yaml": head.replace("tenants:\n", ""),
      "tenants.d/all.yaml": `- &first\n  name: a\n  key: 7000\n  policy:\n    inbound: &rules\n${rules.replaceAll(/^/gm, "    ").trimEnd()}\n${tenants}`,
    });
    expect(errors).toEqual([
      "tenants.d/all.yaml:8173:22: the alias *rules makes the file too large: with its aliases it gains 48,001,000 values and keys, of 2,000,000 that may be; shorten what &rules stands for, or give fewer tenants all of it",
    ]);
  });

  it("of aliases, each of ten of the one before, are refused", () => {
    const levels = lines(9, (n) => `a${n}: &a${n} [${Array(10).fill(n === 0 ? "x" : `*a${n - 1}`)}]\n`);
    expect(read(levels)).toEqual([
      expect.stringMatching(/^7: the alias \*a5 makes the file too large: .* 1,234,567,880 /),
    ]);
  });

  it("more than a thousand of a short list are right, and stand for the list itself", () => {
    const value = read(`rules: &rules [1, 2, 3]\nusers:\n${lines(5000, () => "  - *rules\n")}`) as {
      readonly rules: unknown;
      readonly users: readonly unknown[];
    };
    expect(value.users).toHaveLength(5000);
    expect(new Set(value.users)).toEqual(new Set([value.rules]));
  });

  it("stand for the last value of their anchor before them, in merges as well", () => {
    const text =
      "a: &x { p: 1, q: 1 }\nb: &x { p: 2 }\nc: { <<: *x, r: 3 }\nd: { <<: [*x, { p: 9, s: 4 }] }\ne: &x 5\nf: *x\n";
    expect(read(text)).toEqual({
      a: { p: 1, q: 1 },
      b: { p: 2 },
      c: { p: 2, r: 3 },
      d: { p: 2, s: 4 },
      e: 5,
      f: 5,
    });
  });

  it("by the ten thousand, with as many anchors, are read in passing", () => {
    const text = `anchors:\n${lines(40_000, (n) => `- &a${n} ${n}\n`)}aliases:\n${lines(40_000, (n) => `- *a${n}\n`)}`;
    const value = read(text) as { readonly anchors: readonly number[]; readonly aliases: readonly number[] };
    expect(value.aliases).toEqual(value.anchors);
  });

  it("one inside of the next, deeper than any config, are refused", () => {
    const chain = `a0: &a0 [1]\n${lines(20_000, (n) => `a${n + 1}: &a${n + 1} [*a${n}]\n`)}`;
    expect(read(chain)).toEqual([expect.stringMatching(/^0: the file is nested deeper than 100 levels; /)]);
  });

  it("inside of what they stand for are refused", () => {
    expect(read("a: &a { b: *a }\n")).toEqual([
      "1: the alias *a stands inside of what it stands for; write out what is meant",
    ]);
  });
});

describe("a map with tens of thousands of keys", () => {
  const keys = lines(60_000, (n) => `k${n}: 1\n`);

  it("is read in passing, and what is there twice is found", () => {
    expect(read(`${keys}k7: 2\n`)).toEqual(["60001: the same field twice in one map; remove one of them"]);
  });

  it("that no config has is refused, each at its line", async () => {
    const { errors } = await load({ "xgw.yaml": `${head}${tenant("a", 1)}${keys}` });
    expect(errors).toHaveLength(60_000);
    expect(errors.at(-1)).toMatch(/^xgw\.yaml:60007:9: k59999: unknown field "k59999"; /);
  }, 120_000);
});

it("a word of a megabyte is not repeated in full", async () => {
  const { errors } = await load({ "xgw.yaml": `${head}${tenant("a", 1)}? ${"x".repeat(1_000_000)}\n: 1\n` });
  expect(errors[0]?.length).toBeLessThan(500 + 1_000_000); // the path has it
  expect(errors[0]).toContain('unknown field "xxx');
});

it("a text of more words and marks than the parser has memory for is refused", () => {
  expect(() => parseText(`[${"1,".repeat(1000)}]`, 2000)).toThrow(TooLongError);
});

it("a text that keeps the parser busy is given up", () => {
  const text = `[${"1,".repeat(100_000)}]`;
  expect(() => parseSource("xgw.yaml", text, 1)).toThrow("the file was not parsed within 0.001 s");
});

describe("work that may take some time only", () => {
  it("is broken off where it never ends", () => {
    expect(() =>
      inTime(20, () => {
        for (;;);
      }),
    ).toThrow(TooSlowError);
    expect(inTime(1000, () => "the next")).toBe("the next");
  });

  it("fails as it would without", () => {
    const thrown = new Error("of the work");
    expect(() =>
      inTime(1000, () => {
        throw thrown;
      }),
    ).toThrow(thrown);
  });
});

describe("a tenant with thousands of", () => {
  const address = (n: number) => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
  const many = (count: number, line: (n: number) => string) => lines(count, (n) => `    - { ${line(n)} }\n`);

  it("hosts with public addresses and routes is checked in passing", async () => {
    const publicIps = many(20_000, (n) => `address: ${address(n).replace("10.", "2.")}, to: ${address(n)}`);
    const routes = many(20_000, (n) => `to: ${address(n)}/32, via: 172.168.0.11`);
    const text = `${head}  - name: a\n    key: 1\n    publicIps:\n${publicIps}    routes:\n${routes}`;
    const { errors } = await load({ "xgw.yaml": text.replaceAll("    - {", "      - {") });
    expect(errors.map((error) => error.replace(/.*\]: /, ""))).toEqual([]);
  }, 120_000);

  it("rules that all hold everywhere, and as many for an address each, is refused as too many pieces", () => {
    const rule = (from: number, to: number, port: number) =>
      ({
        verdict: "allow",
        protocol: { from: 6, to: 6 },
        address: { from, to },
        ports: [{ from: port, to: port }],
      }) as const;
    const everywhere = Array.from({ length: 3000 }, (_, n) => rule(0, 0xffff_ffff, n));
    const shadowed = Array.from({ length: 3000 }, (_, n) => rule(4 * n, 4 * n, 7));
    expect(() => compilePolicy([...everywhere, ...shadowed])).toThrow(PolicyTooLargeError);
  }, 120_000);
});

it("the unit's watchdog outlasts a file that is parsed twice for as long as it may be, just before a ping is due", () => {
  const unit = readFileSync(new URL("../../../examples/xgw.service", import.meta.url), "utf8");
  const watchdogMs = 1000 * Number(/^WatchdogSec=(\d+)$/m.exec(unit)?.[1]);
  expect(watchdogMs / 3 + 2 * maxParseMs).toBeLessThan(watchdogMs);
});
