// The nft table as a real kernel tells of it, against what made it.
import { execFileSync } from "node:child_process";
import { inNetNamespace } from "libbpf-ts";
import { beforeEach, describe, expect, it } from "vitest";
import { type NftElement, type NftTable, readElementsOf, readTable, unknown } from "../../src/kernel/nftables.js";
import { type SetTypes, typesOfSet } from "../../src/plan/rules.js";
import { makeNamespace } from "./support/kernel.js";

const { name, path, exec } = makeNamespace();
beforeEach(() => void exec("nft", "flush ruleset"));

/** Of the table `ip t` with this in it. */
function told(body: string, elements = ""): NftTable | undefined {
  const input = `table ip t {\n${body}\n}\n${elements}\n`;
  execFileSync("ip", ["netns", "exec", name, "nft", "-f", "-"], { input, stdio: ["pipe", "pipe", "pipe"] });
  return inNetNamespace(path, () => readTable("t", typesOfSet) ?? ("none" as never));
}

const inSet = (set: string, declaration: string, elements: string) =>
  told(declaration, `add element ip t ${set} { ${elements} }`)?.sets.get(set);

const sorted = (elements: readonly NftElement[] | undefined) =>
  (elements ?? []).map(({ key, value }) => `${key} : ${value}`).sort();

it("there is none where there is none", () => {
  exec("nft", "add table ip other");
  expect(inNetNamespace(path, () => readTable("t", typesOfSet) ?? "none")).toBe("none");
});

it("one of another family is another one", () => {
  exec("nft", "add table inet t");
  expect(inNetNamespace(path, () => readTable("t", typesOfSet) ?? "none")).toBe("none");
});

it("an empty one is there", () => {
  expect(told("")).toEqual({ isDormant: false, chains: new Map(), sets: new Map(), flowtableDevices: new Map() });
});

it("one that somebody has put out of force says so", () => {
  expect(told("flags dormant")?.isDormant).toBe(true);
});

it("a chain on a hook has its policy", () => {
  const on = "type filter hook input priority 0";
  const table = told(`chain a { ${on}; policy accept; }\nchain d { ${on}; policy drop; }\nchain none { }`);
  expect(["a", "d", "none"].map((name) => table?.chains.get(name)?.policy)).toEqual([1, 0, undefined]);
});

it("chains have their rules, and those of other tables do not count", () => {
  exec("nft", "add table ip other");
  exec("nft", "add chain ip other c");
  exec("nft", "add rule ip other c accept");
  const table = told("chain none {\n}\nchain c {\naccept\ndrop\n}");
  expect([...(table?.chains ?? [])].map(([name, { rules }]) => [name, rules.length])).toEqual([
    ["none", 0],
    ["c", 2],
  ]);
});

describe("elements", () => {
  it("of a device's name", () => {
    expect(inSet("zones", "map zones { typeof iifname : ct zone; }", "xgre1000 : 1, xgre2000 : 4000")).toEqual(
      expect.arrayContaining([
        { key: "xgre1000", value: "1" },
        { key: "xgre2000", value: "4000" },
      ]),
    );
  });

  it("of concatenated keys, and of a value", () => {
    const map = "map dnat_to { typeof ct zone . ip daddr : ip daddr; }";
    expect(inSet("dnat_to", map, "1 . 2.2.2.11 : 10.0.0.7")).toEqual([{ key: "1 . 2.2.2.11", value: "10.0.0.7" }]);
  });

  it("of concatenated values", () => {
    const map = "map forward_to { typeof ct zone . ip daddr . ip protocol . th dport : ip daddr . th dport; }";
    expect(inSet("forward_to", map, "1 . 2.2.2.13 . 6 . 80 : 10.0.0.8 . 8080")).toEqual([
      { key: "1 . 2.2.2.13 . 6 . 80", value: "10.0.0.8 . 8080" },
    ]);
  });

  it("of a value that packets have in network byte order", () => {
    const map = "map segment { typeof ct zone : tcp option maxseg size; }";
    expect(inSet("segment", map, "7 : 1418")).toEqual([{ key: "7", value: "1418" }]);
  });

  it("of ranges, with prefixes as ranges, and of marks above 2^31", () => {
    const map = "map inbound0 { typeof ct zone . ip protocol . ip saddr . th dport : ct mark; flags interval; }";
    const elements =
      "1 . 1 . 10.0.0.1-10.0.0.3 . 0-65535 : 3, 1 . 17 . 10.0.0.0/8 . 1-1023 : 2147483650, " +
      "1 . 6 . 0.0.0.0/0 . 22-22 : 1, 2 . 0-255 . 1.2.3.4 . 0-65535 : 4";
    expect(sorted(inSet("inbound0", map, elements))).toEqual([
      "1 . 1 . 10.0.0.1-10.0.0.3 . 0-65535 : 3",
      "1 . 17 . 10.0.0.0-10.255.255.255 . 1-1023 : 2147483650",
      "1 . 6 . 0.0.0.0-255.255.255.255 . 22 : 1",
      "2 . 0-255 . 1.2.3.4 . 0-65535 : 4",
    ]);
  });

  it("of verdicts have the chain", () => {
    const map = "chain to_inbound0 {\n}\nmap inbound_shares { typeof ct zone : verdict; }";
    expect(inSet("inbound_shares", map, "128 : jump to_inbound0")).toEqual([{ key: "128", value: "to_inbound0" }]);
  });

  it("that are counted have their counts", () => {
    const set = "set denied_inbound { typeof ct zone . ct mark; size 100; flags dynamic; counter; }";
    const counted = inSet("denied_inbound", set, "1 . 0x80000003 counter packets 5 bytes 300");
    expect(counted).toEqual([{ key: "1 . 2147483651", value: "", counter: { packets: 5, bytes: 300 } }]);
  });

  it("of which there are more than fit into one message are all read", () => {
    const map = "map dnat_to { typeof ct zone . ip daddr : ip daddr; }";
    const many = Array.from({ length: 5000 }, (_, at) => `${at} . 2.2.2.11 : 10.0.0.7`).join(", ");
    expect(inSet("dnat_to", map, many)?.length).toBe(5000);
  });

  it("of a set that xgw does not have are not looked at", () => {
    expect(inSet("mine", "set mine { type ipv4_addr; }", "1.1.1.1")).toBeUndefined();
  });

  it("of other types than a set of that name should have are unknown", () => {
    const map = "map dnat_to { typeof ip daddr : ip daddr; }";
    expect(inSet("dnat_to", map, "1.1.1.1 : 2.2.2.2")).toEqual([{ key: unknown, value: "2.2.2.2" }]);
  });

  it("for all keys are none that xgw makes", () => {
    const map = "map dnat_to { typeof ct zone . ip daddr : ip daddr; }";
    expect(inSet("dnat_to", map, "* : 2.2.2.2")).toEqual([{ key: unknown, value: "2.2.2.2" }]);
  });
});

describe("elements that are looked up by their keys", () => {
  const dnat = "map dnat_to { typeof ct zone . ip daddr : ip daddr; }";
  const looked = (declaration: string, set: string, elements: string, ...keys: string[]) => {
    told(declaration, elements === "" ? "" : `add element ip t ${set} { ${elements} }`);
    return inNetNamespace(path, () => readElementsOf("t", set, typesOfSet(set) as SetTypes, keys) ?? ("none" as never));
  };

  const kinds: readonly (readonly [what: string, declaration: string, set: string, element: string])[] = [
    ["a device's name", "map zones { typeof iifname : ct zone; }", "zones", "xgre-1.7 : 4000"],
    ["a zone", "map segment { typeof ct zone : tcp option maxseg size; }", "segment", "300 : 1418"],
    ["a zone and an address", dnat, "dnat_to", "300 . 202.2.2.11 : 10.0.0.7"],
    [
      "a protocol and a port, too",
      "map forward_to { typeof ct zone . ip daddr . ip protocol . th dport : ip daddr . th dport; }",
      "forward_to",
      "300 . 2.2.2.13 . 17 . 40000 : 10.0.0.8 . 8080",
    ],
    [
      "a mark above 2^31",
      "set denied_inbound { typeof ct zone . ct mark; size 100; flags dynamic; }",
      "denied_inbound",
      "300 . 2147483651 : ",
    ],
  ];
  for (const [what, declaration, set, element] of kinds)
    it(`by ${what}`, () => {
      const [key = "", value = ""] = element.split(" : ");
      const written = value === "" ? key : element.replace(/^xgre.* : /, `"${key}" : `);
      expect(looked(declaration, set, written, key)).toEqual([{ key, value }]);
    });

  it("those that there are not are left out", () => {
    const elements = "1 . 2.2.2.11 : 10.0.0.7, 2 . 2.2.2.11 : 10.0.0.8";
    expect(looked(dnat, "dnat_to", elements, "2 . 2.2.2.11", "3 . 2.2.2.11")).toEqual([
      { key: "2 . 2.2.2.11", value: "10.0.0.8" },
    ]);
  });

  it("an element for all keys is not taken for one of them", () => {
    expect(looked(dnat, "dnat_to", "* : 2.2.2.2", "1 . 2.2.2.11")).toEqual([]);
  });

  it("of a set that there is not there are none, which is another thing", () => {
    expect([looked(dnat, "dnat_to", "", "1 . 2.2.2.11"), looked("", "snat_to", "", "1 . 2.2.2.11")]).toEqual([
      [],
      "none",
    ]);
  });
});

it("a table that changes all the time is read as of one moment", async () => {
  told("map dnat_to { typeof ct zone . ip daddr : ip daddr; }\nmap snat_to { typeof ct zone . ip saddr : ip saddr; }");
  // Both maps have the same number of elements at any moment.
  const grow = Array.from({ length: 300 }, (_, at) => {
    const element = `${at + 1} . 10.0.0.7 : 2.2.2.11`;
    return `printf 'add element ip t dnat_to { ${element} }\\nadd element ip t snat_to { ${element} }\\n' | nft -f -`;
  }).join("\n");
  const { spawn } = await import("node:child_process");
  const growing = spawn("ip", ["netns", "exec", name, "sh", "-c", grow], { stdio: "ignore" });
  const ended = new Promise((resolve) => growing.on("close", resolve));
  const sizes: [number | undefined, number | undefined][] = [];
  while (growing.exitCode === null) {
    const { sets } = inNetNamespace(path, () => readTable("t", typesOfSet)) as NftTable;
    sizes.push([sets.get("dnat_to")?.length, sets.get("snat_to")?.length]);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await ended;
  expect(sizes.filter(([one, other]) => one !== other)).toEqual([]);
});

it("an element of ranges is found by a packet's key", () => {
  const map = "map inbound0 { typeof ct zone . ip protocol . ip saddr . th dport : ct mark; flags interval; }";
  told(map, "add element ip t inbound0 { 1 . 6 . 10.0.0.0/8 . 22-23 : 2, 1 . 6 . 0.0.0.0-9.255.255.255 . 22 : 3 }");
  const keys = ["1 . 6 . 10.7.7.7 . 23", "1 . 6 . 8.8.8.8 . 22", "1 . 6 . 8.8.8.8 . 23", "2 . 6 . 10.7.7.7 . 23"];
  const types = typesOfSet("inbound0") as SetTypes;
  const found = inNetNamespace(path, () => keys.map((key) => readElementsOf("t", "inbound0", types, [key])));
  expect(found.map((elements) => elements?.map(({ value }) => value))).toEqual([["2"], ["3"], [], []]);
});
