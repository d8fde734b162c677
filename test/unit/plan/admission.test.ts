// Which live connections the rules would still admit, by the elements that the example renders to.
import { describe, expect, it } from "vitest";
import { admissionsOf, type Connection, isAdmitted } from "../../../src/plan/admission.js";
import { exampleText, stateOf, thirdTenant } from "./fixture.js";

const outbound = 0x1_0000;

function connection(
  source: string,
  destination: string,
  translated: { source?: string; destination?: string; port?: number } = {},
  more: Partial<Connection> & { port?: number } = {},
): Connection {
  const { port = 22, ...rest } = more;
  return {
    zone: 1,
    protocol: 6,
    original: { source, destination, sourcePort: 40000, destinationPort: port },
    reply: {
      source: translated.destination ?? destination,
      destination: translated.source ?? source,
      sourcePort: translated.port ?? port,
      destinationPort: 40000,
    },
    mark: 1,
    ...rest,
  };
}

const inbound = connection("1.1.1.7", "2.2.2.11", { destination: "10.0.0.7" });
const outwards = connection("10.0.0.7", "1.1.1.7", { source: "2.2.2.11" }, { port: 23, mark: outbound + 2 });

async function admits(text: string, what: Connection): Promise<boolean> {
  const { elements } = await stateOf(text);
  const admission = admissionsOf(elements.values(), new Set([what.zone])).get(what.zone);
  if (!admission) throw new Error("no admission");
  return isAdmitted(admission, what);
}

const example = await exampleText();
const cases: readonly (readonly [what: string, text: string, connection: Connection, admitted: boolean])[] = [
  ["an inbound one that a rule allows", example, inbound, true],
  ["an outbound one that a rule allows", example, outwards, true],
  ["an inbound one without a rule", await exampleText(["- { allow: tcp, ports: [22] }", ""]), inbound, false],
  ["one of another port", example, { ...inbound, protocol: 17 }, false],
  [
    "an outbound one that is denied by now",
    await exampleText(["- { deny: tcp, ports: [22] }", "- { deny: tcp, ports: [22, 23] }"]),
    outwards,
    false,
  ],
  [
    "one whose rule has another place in the list",
    await exampleText(["- { allow: tcp, ports: [22] }", "- { allow: icmp }\n        - { allow: tcp, ports: [22] }"]),
    inbound,
    true,
  ],
  [
    "one from a source that is no longer allowed",
    await exampleText(["- { allow: tcp, ports: [22] }", "- { allow: tcp, ports: [22], from: 9.0.0.0/8 }"]),
    inbound,
    false,
  ],
  ["one to a public address that has gone", await exampleText(["2.2.2.11, to", "2.2.2.21, to"]), inbound, false],
  ["one from a public address that has gone", await exampleText(["2.2.2.11, to", "2.2.2.21, to"]), outwards, false],
  [
    "one without translation, though there is one now",
    example,
    connection("10.0.0.7", "1.1.1.7", {}, { port: 23, mark: outbound + 2 }),
    true,
  ],
  ["one that no rule had to admit", example, connection("10.0.0.7", "10.0.0.1", {}, { mark: 0 }), true],
  [
    "an echo request, which has no port",
    example,
    connection("1.1.1.7", "2.2.2.11", { destination: "10.0.0.7" }, { protocol: 1, port: 0 }),
    true,
  ],
];

describe("admitted", () => {
  for (const [what, text, connection, admitted] of cases)
    it(`${what}: ${admitted ? "yes" : "no"}`, async () => expect(await admits(text, connection)).toBe(admitted));

  const forwarded = connection("1.1.1.7", "2.2.2.13", { destination: "10.0.0.8", port: 8080 }, { zone: 3, port: 80 });

  it("one by a port forward", async () => expect(await admits(example + thirdTenant, forwarded)).toBe(true));

  it("not one by a port forward that leads elsewhere", async () =>
    expect(await admits(example + thirdTenant.replace("toPort: 8080", "toPort: 8081"), forwarded)).toBe(false));

  const range = thirdTenant.replace("port: 80,", "port: 80-99,");
  const last = connection("1.1.1.7", "2.2.2.13", { destination: "10.0.0.8", port: 8099 }, { zone: 3, port: 99 });

  it("one by the last port of a range that is led to other ports", async () =>
    expect(await admits(example + range.replace("ports: [8080]", "ports: [8080-8099]"), last)).toBe(true));

  it("not one of a range that has become shorter", async () =>
    expect(await admits(example + range.replace("80-99", "80-98").replace("[8080]", "[8080-8099]"), last)).toBe(false));

  const kept = thirdTenant.replace("port: 80,", "port: 8000-8100,").replace(", toPort: 8080", "");
  const inside = connection("1.1.1.7", "2.2.2.13", { destination: "10.0.0.8", port: 8080 }, { zone: 3, port: 8080 });

  it("one by a range of ports that stay as they are", async () =>
    expect(await admits(example + kept, inside)).toBe(true));

  it("not one by a range that its port has left", async () =>
    expect(await admits(example + kept.replace("8000-8100", "8081-8100"), inside)).toBe(false));

  const shared = connection(
    "10.0.0.8",
    "1.1.1.7",
    { source: "2.2.2.14" },
    {
      zone: 3,
      mark: outbound + 1,
      reply: { source: "1.1.1.7", destination: "2.2.2.14", sourcePort: 22, destinationPort: 6 },
    },
  );
  const withSnat = (snat: string) => `${example}${thirdTenant}    snat: ${snat}\n`;

  it("one that leaves under the shared address", async () =>
    expect(await admits(withSnat("{ address: 2.2.2.14 }"), shared)).toBe(true));

  it("not one whose shared address was taken away", async () =>
    expect(await admits(example + thirdTenant, shared)).toBe(false));

  it("not one whose shared address is another by now", async () =>
    expect(await admits(withSnat("{ address: 2.2.2.15 }"), shared)).toBe(false));

  it("not one from a network that shares the address no more", async () =>
    expect(await admits(withSnat("{ address: 2.2.2.14, from: [10.0.0.0/29] }"), shared)).toBe(false));

  it("nothing in a tenant without elements", () => {
    const admission = admissionsOf([], new Set([1])).get(1);
    expect(admission && isAdmitted(admission, inbound)).toBe(false);
  });
});
