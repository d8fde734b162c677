// What an edit changed, in the config's own terms, with its place.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.js";
import { editsBetween, editText } from "../../../src/plan/edits.js";
import { exampleText, thirdTenant } from "./fixture.js";

const folder = mkdtempSync(join(tmpdir(), "xgw-edits-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function load(text: string) {
  const file = join(folder, "xgw.yaml");
  writeFileSync(file, text);
  return loadConfig(file);
}

const example = await exampleText();

async function edits(now: string, was = example): Promise<string[]> {
  const before = await load(was);
  const after = await load(now);
  return editsBetween(before.config, after.config).map((edit) => {
    const place = edit.path && after.locate(edit.path);
    return editText(edit, place && { ...place, file: basename(place.file) });
  });
}

const cases: readonly (readonly [string, readonly (readonly [from: string, to: string])[], readonly string[]])[] = [
  ["nothing", [], []],
  [
    "a rule more",
    [["        - { allow: icmp }\n", "        - { allow: tcp, ports: [80] }\n        - { allow: icmp }\n"]],
    ["tenant user1: inbound rule 2 added: allow tcp 80 (xgw.yaml:28)"],
  ],
  [
    "a rule less",
    [["        - { allow: udp, ports: [5000] }\n", ""]],
    ["tenant user1: inbound rule 1 removed: allow udp 5000 (xgw.yaml:24)"],
  ],
  [
    "another rule in its place",
    [["{ allow: tcp, ports: [22] }", "{ allow: tcp, ports: [22], from: 1.1.1.0/24 }"]],
    ["tenant user1: inbound rule 0 changed: allow tcp 22 from 1.1.1.0/24 (was allow tcp 22) (xgw.yaml:26)"],
  ],
  [
    "a route that leads elsewhere",
    [["10.0.0.7/32, via: 172.168.0.11", "10.0.0.7/32, via: 172.168.0.13"]],
    ["tenant user1: route 10.0.0.7/32 via 172.168.0.13 changed (xgw.yaml:20)"],
  ],
  [
    "an address less, and a limit",
    [
      ["[1.1.1.11/24, 10.0.0.1/24]", "[1.1.1.11/24]"],
      ["{ sessions: 100000, newPerSecond: 5000 }", "{ sessions: 1 }"],
    ],
    [
      "tenant user1: address 10.0.0.1/24 removed",
      "tenant user1: limits: {sessions:1} (was {sessions:100000,newPerSecond:5000}) (xgw.yaml:32)",
    ],
  ],
  [
    "a public address that becomes another",
    [["address: 2.2.2.11", "address: 2.2.2.13"]],
    [
      "tenant user1: public address 2.2.2.13 to 10.0.0.7 added (xgw.yaml:23)",
      "tenant user1: public address 2.2.2.11 to 10.0.0.7 removed",
    ],
  ],
  ["another name", [["name: user1", "name: first"]], ["tenant first: renamed, was user1 (xgw.yaml:16)"]],
  ["another key", [["key: 1000", "key: 1001"]], ["tenant user1: added (xgw.yaml:16)", "tenant user1: removed"]],
  [
    "the gateway's own",
    [["xdp: native", "xdp: generic"]],
    ["nics: [{name:eth0,xdp:generic}] (was [{name:eth0,xdp:native}]) (xgw.yaml:13)"],
  ],
  [
    "an outbound list taken away",
    [["      outbound:\n        - { deny: tcp, ports: [22] }\n        - { allow: any }\n", ""]],
    ["tenant user1: outbound list removed: all may leave (xgw.yaml:24)"],
  ],
];

describe("an edit is told by what it changed:", () => {
  it.each(cases)("%s", async (_, changes, lines) => {
    expect(await edits(await exampleText(...changes))).toEqual(lines);
  });

  it("a tenant that comes, and one that goes", async () => {
    expect(await edits(example + thirdTenant)).toEqual(["tenant user3: added (xgw.yaml:52)"]);
    expect(await edits(example, example + thirdTenant)).toEqual(["tenant user3: removed"]);
  });

  it("tenants in another order are the same", async () => {
    const { config } = await load(example + thirdTenant);
    expect(editsBetween(config, { ...config, tenants: [...config.tenants].reverse() })).toEqual([]);
  });
});
