// The nft table in a real kernel: what is rendered is taken, and is read back as the same text; from one policy to any
// other. Where the kernel has no flowtables or VRFs, the lines about them are left out, which tenants' elements are not.
import { execFileSync } from "node:child_process";
import { inNetNamespace } from "libbpf-ts";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readSet } from "../../src/kernel/nftables.js";
import { nftScript, sealScript } from "../../src/kernel/slow-path.js";
import { observeSlowPath, type SlowPathState } from "../../src/observe/slow-path.js";
import { diff } from "../../src/plan/diff.js";
import { damagedRules, rulesVersion, type SetTypes, typesOfSet } from "../../src/plan/rules.js";
import { flowtableOf } from "../../src/plan/shares.js";
import type { State } from "../../src/plan/state.js";
import { desiredOf, exampleText, nothing, stateOf, thirdTenant } from "../unit/plan/fixture.js";
import { makeNamespace } from "./support/kernel.js";
import { makeRandom } from "./support/random.js";

const { name, path, exec } = makeNamespace();
const random = makeRandom();
const { integer, pick } = random;

let kernelHasAll = false;
beforeAll(() => {
  try {
    nft(
      "table ip try { flowtable f { hook ingress priority 0; }; chain c { type filter hook forward priority 0; ip protocol tcp flow add @f; }; }",
    );
    kernelHasAll = true;
  } catch {
    kernelHasAll = false;
  }
  exec("nft", "flush ruleset");
});
beforeEach(() => void exec("nft", "flush ruleset"));

function nft(script: string): void {
  const input = kernelHasAll ? script : script.replace(/^.*(flowtable|flow add).*\n/gm, "");
  execFileSync("ip", ["netns", "exec", name, "nft", "-f", "-"], { input, stdio: ["pipe", "pipe", "pipe"] });
}

const observed = (): SlowPathState => inNetNamespace(path, () => observeSlowPath("gw1").state);

/** The tunnels do not exist here. */
const flowtableDevices = new Map([["lo", flowtableOf(1)]]);

/** The nft part of a state. */
const rules = ({ elements }: State): State => ({ ...nothing, rules: rulesVersion, elements, flowtableDevices });

const sorted = (elements: State["elements"]) =>
  [...elements.values()].map(({ set, key, value }) => `${set}: ${key} : ${value}`).sort();

async function change(from: State, to: State): Promise<State> {
  const steps = diff(rules(to), from);
  nft(nftScript("gw1", steps));
  nft(inNetNamespace(path, () => sealScript("gw1", steps) as never));
  const state = observed();
  if (kernelHasAll) expect(state.flowtableDevices).toEqual(flowtableDevices);
  return { ...nothing, rules: state.rules, elements: state.elements, flowtableDevices };
}

const pickNft = ({ rules, elements }: SlowPathState) => ({ rules, elements });

it("the example is read back as it was rendered", async () => {
  const wanted = await stateOf(await exampleText());
  const seen = await change(nothing, wanted);
  expect([seen.rules, sorted(seen.elements)]).toEqual([rulesVersion, sorted(wanted.elements)]);
});

it("the example applied twice has nothing to do the second time", async () => {
  const wanted = await stateOf(await exampleText());
  const seen = await change(nothing, wanted);
  expect(diff(rules(wanted), seen)).toEqual([]);
});

it("a set is read by itself; there is none where there is no table", async () => {
  const types = typesOfSet("denied_inbound") as SetTypes;
  const denied = () => inNetNamespace(path, () => readSet("xgw_gw1", "denied_inbound", types) ?? "no set");
  expect(denied()).toBe("no set");
  await change(nothing, await stateOf(await exampleText()));
  expect(denied()).toEqual([]);
});

it("rules of another version are replaced with all elements in one transaction", async () => {
  const wanted = await stateOf(await exampleText());
  const first = await change(nothing, wanted);
  const seen = await change({ ...first, rules: "0123456789ab" }, wanted);
  expect(sorted(seen.elements)).toEqual(sorted(wanted.elements));
});

it("an element for all keys, by which somebody would let everybody in, is noticed and goes", async () => {
  const wanted = await stateOf(await exampleText());
  const first = await change(nothing, wanted);
  exec("nft", "add element ip xgw_gw1 inbound0 { * : 1 }");
  const seen = { ...first, ...pickNft(observed()), flowtableDevices };
  expect(seen.rules).toBe(damagedRules);
  expect((await change(seen, wanted)).rules).toBe(rulesVersion);
});

describe("rules that somebody has changed are noticed, and made anew", () => {
  /** Of the first rule in a chain that says this. */
  function handleOf(chain: string, words: string): string {
    const rule = exec("nft", "-a", `list chain ip xgw_gw1 ${chain}`)
      .split("\n")
      .find((line) => line.includes(words));
    return rule?.match(/# handle (\d+)/)?.[1] ?? "none";
  }

  it.each<[string, () => readonly string[]]>([
    [
      "a rule that lets all by in the place of another",
      () => [`replace rule ip xgw_gw1 forward handle ${handleOf("forward", "between_sides")} counter`],
    ],
    [
      "a rule that goes, and one that lets all by that comes",
      () => [
        `delete rule ip xgw_gw1 between_sides handle ${handleOf("between_sides", "drop")}`,
        "add rule ip xgw_gw1 between_sides accept",
      ],
    ],
    [
      "a rule with another nameless set",
      () => [
        `delete rule ip xgw_gw1 judge_source handle ${handleOf("judge_source", "icmp type")}`,
        "insert rule ip xgw_gw1 judge_source icmp type { echo-request, destination-unreachable, time-exceeded } return",
      ],
    ],
    ["all tables out of force", () => ["add table ip xgw_gw1 { flags dormant; }"]],
    ["the one of IPv6 out of force", () => ["add table ip6 xgw_gw1 { flags dormant; }"]],
    ["a chain that drops by default", () => ["add chain ip xgw_gw1 forward { policy drop; }"]],
  ])("%s", async (_what, commands) => {
    const wanted = await stateOf(await exampleText());
    const first = await change(nothing, wanted);
    for (const command of commands()) exec("nft", command);
    const seen = { ...first, ...pickNft(observed()), flowtableDevices };
    expect(seen.rules).toBe(damagedRules);
    expect((await change(seen, wanted)).rules).toBe(rulesVersion);
  });
});

describe("a policy can become any other", () => {
  it("a rule for one address and one port goes again", async () => {
    const without = await exampleText();
    const rule = "- { allow: tcp, ports: [22] }";
    const seen = await change(
      nothing,
      await stateOf(without.replace(rule, rule.replace(" }", ", from: 1.1.1.7/32 }"))),
    );
    const wanted = await stateOf(without.replace(rule, ""));
    expect(sorted((await change(seen, wanted)).elements)).toEqual(sorted(wanted.elements));
  });

  it("a denied port more cuts the ranges around it anew", async () => {
    const seen = await change(nothing, await stateOf(await exampleText()));
    const wanted = await stateOf(
      await exampleText(["- { deny: tcp, ports: [22] }", "- { deny: tcp, ports: [22, 25] }"]),
    );
    expect(sorted((await change(seen, wanted)).elements)).toEqual(sorted(wanted.elements));
  });

  it("40 random policies, one after the other; fewer on a slow machine", async () => {
    const deadline = performance.now() + 20_000;
    const text = await exampleText();
    let seen = await change(nothing, await stateOf(text));
    for (let n = 0; n < 40 && performance.now() < deadline; n++) {
      const wanted = await stateOf(withPolicy(text, "inbound", "from", "outbound", "to"));
      const policy = `policy ${n} of XGW_TEST_SEED=${random.seed}`;
      try {
        seen = await change(seen, wanted);
      } catch (error) {
        expect.fail(`${policy} is refused: ${(error as Error).message}`);
      }
      expect(sorted(seen.elements), policy).toEqual(sorted(wanted.elements));
    }
  });
});

it("an example with every kind of element is read back", async () => {
  const text = `apiVersion: xgw/v1
instance: gw1
underlay: { device: eth0, address: 172.168.0.1 }
tenants:
  - name: all
    key: 4294967295
    tunnel: gre
    addresses: [10.0.0.1/24]
    routes: [{ to: 0.0.0.0/0, via: 172.168.0.11 }]
    publicIps: [{ address: 223.255.255.254, to: 10.0.0.7 }]
    portForwards:
      - { address: 2.2.2.13, protocol: tcp, port: 65535, to: 10.0.0.8, toPort: 1 }
      - { address: 2.2.2.13, protocol: udp, port: 1, to: 10.0.0.8, toPort: 65535 }
      - { address: 2.2.2.14, protocol: tcp, port: 1-65535, to: 10.0.0.8 }
      - { address: 2.2.2.13, protocol: udp, port: 100-103, to: 10.0.0.8, toPort: 65532-65535 }
    snat: { address: 2.2.2.13, from: [10.0.0.0/24, 10.0.2.7/32, 128.0.0.0/1] }
    policy:
      inbound: [{ allow: 255 }, { allow: 0, from: 0.0.0.0/32 }, { deny: udp, ports: [1-65535], from: 128.0.0.0/1 }]
      outbound: []
`;
  const desired = await desiredOf(text);
  expect(desired.tenants).toHaveLength(1);
  const wanted = await stateOf(text);
  const seen = await change(nothing, wanted);
  expect(sorted(seen.elements)).toEqual(sorted(wanted.elements));
});

it("ranges of ports and shared sources come, change and go again", async () => {
  const text = (await exampleText()) + thirdTenant;
  const forward = "port: 80, to: 10.0.0.8, toPort: 8080";
  const versions = [
    text.replace(forward, "port: 80-82, to: 10.0.0.8, toPort: 8080"),
    `${text.replace(forward, "port: 80-8080, to: 10.0.0.8")}    snat: { address: 2.2.2.14 }\n`,
    `${text.replace(forward, "port: 80-8081, to: 10.0.0.8")}    snat: { address: 2.2.2.14, from: [10.0.0.0/23] }\n`,
    `${text}    snat: { address: 2.2.2.15, from: [10.0.0.8/32, 10.0.0.128/25] }\n`,
    text,
  ];
  let seen = await change(nothing, await stateOf(text));
  for (const version of versions) {
    const wanted = await stateOf(version);
    seen = await change(seen, wanted);
    expect(sorted(seen.elements)).toEqual(sorted(wanted.elements));
  }
});

/** The example with another policy for its first tenant. */
function withPolicy(text: string, ...words: readonly ["inbound", "from", "outbound", "to"]): string {
  const [inbound, from, outbound, to] = words;
  const rule = (side: string) => {
    const protocol = pick(["tcp", "udp", "icmp", "any", `${integer(0, 255)}`]);
    const ports = protocol === "tcp" || protocol === "udp" ? pick(["", `, ports: [${portRange()}]`]) : "";
    const network = pick(["", `, ${side}: ${networkOf(integer(0, 32))}`]);
    return `        - { ${pick(["allow", "deny"])}: ${protocol}${ports}${network} }`;
  };
  const list = (side: string) => Array.from({ length: integer(1, 6) }, () => rule(side)).join("\n");
  const policy = `policy:\n      ${inbound}:\n${list(from)}\n      ${outbound}:\n${list(to)}\n    limits:`;
  return text.replace(/policy:\n[\s\S]*?\n {4}limits:/, policy);
}

function portRange(): string {
  const [a, b] = [integer(1, 65535), integer(1, 65535)];
  return pick([`${a}`, `${Math.min(a, b)}-${Math.max(a, b)}`]);
}

function networkOf(length: number): string {
  const mask = length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
  const address = (integer(0, 0xffff_ffff) & mask) >>> 0;
  return `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".")}/${length}`;
}
