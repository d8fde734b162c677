// What the nft and conntrack commands are given when connections are to end.
import { beforeEach, expect, it, vi } from "vitest";
import { parseConnections } from "../../../src/kernel/conntrack.js";
import { revokeConnections } from "../../../src/kernel/revoke.js";
import { exampleText, stateOf } from "../plan/fixture.js";

const done: string[] = vi.hoisted(() => []);
const table = vi.hoisted(() => ({ text: "" }));

vi.mock("../../../src/kernel/spawn.js", async () => {
  const { readFileSync } = await import("node:fs");
  return {
    run: async (program: string, args: readonly string[], { input = "" } = {}) => {
      const file = args[0] === "-R" ? readFileSync(args[1] ?? "", "utf8") : input;
      done.push(`${[program, ...args.map((word) => (word.startsWith("/") ? "FILE" : word))].join(" ")}\n${file}`);
      return { code: 0, stdout: args[0] === "-L" ? table.text : "", stderr: "" };
    },
  };
});

beforeEach(() => {
  done.length = 0;
});

const line = (port: number, mark = 1) =>
  `tcp      6 431999 ESTABLISHED src=1.1.1.7 dst=2.2.2.11 sport=40000 dport=${port} src=10.0.0.7 dst=1.1.1.7 ` +
  `sport=${port} dport=40000 [ASSURED] mark=${mark} zone=1 use=1\n`;

it("connections are read with both tuples, zone and mark, offloaded ones too", () => {
  const offloaded =
    "udp      17 src=1.1.1.7 dst=2.2.2.11 sport=5 dport=6 src=10.0.0.7 dst=1.1.1.7 sport=6 dport=5 [OFFLOAD] mark=3 use=2\n";
  const ping =
    "icmp     1 29 src=1.1.1.7 dst=2.2.2.11 type=8 code=0 id=7 src=10.0.0.7 dst=1.1.1.7 type=0 code=0 id=7 mark=2 zone=9 use=1\n";
  expect(parseConnections(line(22) + offloaded + ping)).toEqual([
    {
      zone: 1,
      protocol: 6,
      original: { source: "1.1.1.7", destination: "2.2.2.11", sourcePort: 40000, destinationPort: 22 },
      reply: { source: "10.0.0.7", destination: "1.1.1.7", sourcePort: 22, destinationPort: 40000 },
      mark: 1,
    },
    {
      zone: 0,
      protocol: 17,
      original: { source: "1.1.1.7", destination: "2.2.2.11", sourcePort: 5, destinationPort: 6 },
      reply: { source: "10.0.0.7", destination: "1.1.1.7", sourcePort: 6, destinationPort: 5 },
      mark: 3,
    },
    {
      zone: 9,
      protocol: 1,
      original: { source: "1.1.1.7", destination: "2.2.2.11", sourcePort: 0, destinationPort: 0 },
      reply: { source: "10.0.0.7", destination: "1.1.1.7", sourcePort: 0, destinationPort: 0 },
      mark: 2,
    },
  ]);
});

it("what is no longer admitted is deleted, after conntrack may not take it up again", async () => {
  table.text = line(22) + line(80);
  const { elements } = await stateOf(await exampleText());
  await revokeConnections("gw1", [{ kind: "connections.revoke", tenant: 1, all: false }], elements);
  expect(done.join("")).toBe(`nft -f -
add element ip xgw_gw1 no_pickup { 1 }
delete element ip xgw_gw1 no_pickup { 1 }
add element ip xgw_gw1 no_pickup { 1 }
conntrack -L -f ipv4 -w 1
conntrack -R FILE
-D -f ipv4 -w 1 -p 6 -m 1 -d 2.2.2.11 --dport 80
`);
});

it("a tenant that has gone loses all, unread", async () => {
  await revokeConnections("gw1", [{ kind: "connections.revoke", tenant: 3, all: true }], new Map());
  expect(done.join("")).toBe("conntrack -R FILE\n-D -f ipv4 -w 3\n");
});

it("no revocation costs nothing", async () => {
  await revokeConnections("gw1", [{ kind: "generation.bump", tenant: 1 }], new Map());
  expect(done).toEqual([]);
});
