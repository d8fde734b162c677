// A plan as people read it, at 80 columns.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type PlanView, planLines } from "../../../src/cli/plan-lines.js";
import { loadConfig } from "../../../src/config/load.js";
import { buildDesired } from "../../../src/model/build.js";
import { idsInUse } from "../../../src/observe/slow-path.js";
import { diff } from "../../../src/plan/diff.js";
import { outlineOf } from "../../../src/plan/outline.js";
import { render } from "../../../src/plan/render.js";
import { context, exampleText, inKernel, nothing, stateOf, thirdTenant } from "../plan/fixture.js";

const folder = mkdtempSync(join(tmpdir(), "xgw-plan-lines-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function lines(from: string | undefined, to: string, view: Partial<PlanView> = {}): Promise<string[]> {
  const file = join(folder, "xgw.yaml");
  writeFileSync(file, to);
  const loaded = await loadConfig(file);
  const observed = from === undefined ? nothing : inKernel(await stateOf(from));
  const wanted = render(buildDesired(loaded.config, idsInUse(observed.devices)), context);
  const outline = outlineOf({ wanted, observed, steps: diff(wanted, observed) });
  const locate = (path: Parameters<typeof loaded.locate>[0]) => {
    const place = loaded.locate(path);
    return { ...place, file: basename(place.file) };
  };
  return [...planLines(outline, { config: loaded.config, locate }, { verbose: false, ...view })];
}

const example = await exampleText();
const edited = await exampleText(
  ["ports: [22] }", "ports: [22, 2222] }"],
  ["{ address: 2.2.2.12, to: 10.0.0.7 }", "{ address: 2.2.2.13, to: 10.0.0.7 }"],
);

const manyTenants = (number: number) =>
  example.replace(/tenants:[\s\S]*/, "tenants:\n") +
  Array.from(
    { length: number },
    (_, at) =>
      `  - { name: t${at}, key: ${at + 1}, addresses: [10.0.0.1/24], routes: [{ to: 10.0.0.7/32, via: 172.168.0.9 }] }\n`,
  ).join("");

describe("a plan in lines", () => {
  it("says for whom and what for, with the place in the config", async () => {
    expect(await lines(example, edited)).toEqual([
      "gw1: 19 steps, 2 tenants changed",
      "  user2  changed  11  2 public addresses",
      "  user1  changed   8  1 rule, policy",
      "",
      "tenant user1, changed: 8 steps",
      "  + inbound rule 0: allow tcp 22, 2222  xgw.yaml:26",
      "  ~ policy, as XDP has it (6 steps)  xgw.yaml:24",
      "  > flows are decided anew  xgw.yaml:16",
      "",
      "tenant user2, changed: 11 steps",
      "  - public address 2.2.2.12 (4 steps)",
      "  ~ public address 2.2.2.13 to 10.0.0.7 (5 steps)  xgw.yaml:41",
      "  > connections that are no longer admitted end; flows are decided anew (2 steps)",
      "      xgw.yaml:34",
    ]);
  });

  it("of one tenant is that tenant's alone", async () => {
    expect(await lines(example, edited, { tenant: "user1" })).toEqual([
      "tenant user1, changed: 8 steps",
      "  + inbound rule 0: allow tcp 22, 2222  xgw.yaml:26",
      "  ~ policy, as XDP has it (6 steps)  xgw.yaml:24",
      "  > flows are decided anew  xgw.yaml:16",
    ]);
  });

  it("shows each step with -v, under what it is for", async () => {
    expect(await lines(example, edited, { tenant: "user1", verbose: true })).toEqual([
      "tenant user1, changed: 8 steps",
      "  + inbound rule 0: allow tcp 22, 2222  xgw.yaml:26",
      "    + nft inbound: 1 . 6 . 0.0.0.0-255.255.255.255 . 2222 : 1",
      "  ~ policy, as XDP has it  xgw.yaml:24",
      "    + map policy_services ec66349144a94e8c 6 22/24 : 1",
      "    + map policy_services ec66349144a94e8c 6 2222/24 : 1",
      "    + map policy_services ec66349144a94e8c 17 5000/24 : 2",
      "    ~ map policy_networks 1 inbound 0.0.0.0/0 : ec66349144a94e8c",
      "    - map policy_services 7f6c871d0c873ff2 6 22/24",
      "    - map policy_services 7f6c871d0c873ff2 17 5000/24",
      "  > flows are decided anew  xgw.yaml:16",
      "    > generation of tenant 1: its flows are decided anew",
    ]);
  });

  it("of a tenant that goes has no places", async () => {
    expect(await lines(example + thirdTenant, example)).toEqual([
      "gw1: 33 steps, 1 tenant removed",
      "  the gateway            2  1 entry, 1 generation",
      "  user3        removed  31  1 address, 1 route, 1 public address, 2 rules",
      "",
      "the gateway: 2 steps",
      "  ~ map limits 0 : sessions 128, newPerSecond 32768, flows 262144, templates 16384, rules 6144, eventsPerSecond 8192, neighbours 16384",
      "  > keys that no tenant had are looked up anew",
      "",
      "tenant user3, removed: 31 steps",
      "  - the tenant itself: devices, fences, programs (13 steps)",
      "  - address 10.0.0.1/24",
      "  - tunnel endpoint 172.168.0.13 (3 steps)",
      "  - route 10.0.0.8/32 (2 steps)",
      "  - public address 2.2.2.13 (4 steps)",
      "  - inbound rule 0 of an earlier config",
      "  - outbound rule 0 of an earlier config",
      "  - policy, as XDP has it (4 steps)",
      "  > connections that are no longer admitted end; flows are decided anew (2 steps)",
    ]);
  });

  it("of many tenants is a summary of some lines, and says how to see more", async () => {
    const all = await lines(undefined, manyTenants(200));
    expect(all.length).toBeLessThan(30);
    expect([all[0], ...all.slice(-3)]).toEqual([
      "gw1: 5444 steps, 200 tenants new",
      "  and 180 more tenants: 4860 steps",
      "",
      "what is done: --tenant NAME shows one tenant's, -v every step",
    ]);
  });

  it("is at most 80 columns wide, but for what the steps say themselves", async () => {
    const all = [...(await lines(undefined, example)), ...(await lines(undefined, manyTenants(200)))];
    expect(all.filter((line) => line.length > 80 && !/^ {2}\+ (map|attach) /.test(line))).toEqual([]);
  });

  it("of nothing is no line", async () => expect(await lines(example, example)).toEqual([]));
});
