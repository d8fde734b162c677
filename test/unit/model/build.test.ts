import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.js";
import { buildDesired, rebuildDesired } from "../../../src/model/build.js";
import type { DesiredTenant, PolicyCell } from "../../../src/model/desired.js";
import { noLimits } from "../../../src/model/shares.js";
import { configOf, head, tenant } from "../config/fixture.js";

const seedFile = fileURLToPath(new URL("../../../examples/two-tenants.yaml", import.meta.url));

/** `6 22 allow`: protocol, port and verdict of cells for any address. */
function shown(cells: readonly PolicyCell[]): string[] {
  const range = ({ from, to }: { from: number; to: number }) => (from === to ? `${from}` : `${from}-${to}`);
  return cells.map(({ protocol, port, verdict }) => `${range(protocol)} ${range(port)} ${verdict}`);
}

async function built(...lines: string[]): Promise<DesiredTenant> {
  const { config } = await configOf({ "xgw.yaml": head + tenant("a", 4_294_967_295, ...lines) });
  return buildDesired(config).tenants[0] as DesiredTenant;
}

describe("the seed deployment", async () => {
  const { config } = await loadConfig(seedFile);
  const desired = buildDesired(config);

  it("is one gateway on eth0 with native XDP", () => {
    const { tenants: _, capacities, shares, ...gateway } = desired;
    expect([capacities.flows, shares.flows]).toEqual([524_288, 262_144]);
    expect(gateway).toEqual({
      instance: "gw1",
      underlay: { device: "eth0", address: "172.168.0.1" },
      mayForward: false,
      nics: [{ name: "eth0", xdp: "native" }],
      maxTenants: 8192,
      fragmentMemory: 16_777_216,
      newPool: 32_768,
      pools: { sessions: 131_072, neighbours: 32_768 },
      rooms: { sessions: 3_145_728, neighbours: 393_216 },
      promised: { sessions: 393_216, neighbours: 65_536 },
    });
  });

  it("has numbers for new connections that a tenant's own one takes nothing from, for the config gives none for all", () => {
    // 65,536, half of them anybody's, and user1's 5000 and user2's besides
    expect(desired.shares.newPerSecond).toBe(32_768);
  });

  it("has two tenants with names, ids and devices from their keys", () => {
    const seen = desired.tenants.map(({ name, key, id, routeTable, vrf, tunnel, tunnelKind }) => [
      name,
      key,
      id,
      routeTable,
      vrf,
      tunnel,
      tunnelKind,
    ]);
    expect(seen).toEqual([
      ["user1", 1000, 1, 100_001, "xvrf1000", "xgre1000", "gretap"],
      ["user2", 2000, 2, 100_002, "xvrf2000", "xgre2000", "gretap"],
    ]);
  });

  it("takes each tenant's packets from its own endpoint and the client's", () => {
    expect(desired.tenants.map(({ peers }) => peers)).toEqual([
      ["172.168.0.7", "172.168.0.11"],
      ["172.168.0.7", "172.168.0.12"],
    ]);
  });

  it("gives both the same private address, and each a public one of its own", () => {
    expect(desired.tenants.map(({ publicIps }) => publicIps)).toEqual([
      [{ address: "2.2.2.11", to: "10.0.0.7" }],
      [{ address: "2.2.2.12", to: "10.0.0.7" }],
    ]);
  });

  it("lets in ssh to user1 and telnet to user2, beside ping and one UDP port", () => {
    expect(desired.tenants.map(({ inbound }) => shown(inbound))).toEqual([
      ["1 0-65535 allow", "6 22 allow", "17 5000 allow"],
      ["1 0-65535 allow", "6 23 allow", "17 5000 allow"],
    ]);
  });

  it("lets out everything but ssh from user1, and but telnet from user2", () => {
    const denied = desired.tenants.map(({ outbound }) => shown(outbound).filter((cell) => cell.endsWith("deny")));
    expect(denied).toEqual([["6 22 deny"], ["6 23 deny"]]);
  });
});

describe("a tenant's desired state", () => {
  it("has device names that fit even for the greatest key", async () => {
    const { vrf, tunnel } = await built();
    expect([vrf, tunnel].filter((name) => name.length > 15)).toEqual([]);
  });

  it("without a policy lets nothing in and everything out", async () => {
    const { inbound, outbound } = await built();
    expect([shown(inbound), shown(outbound)]).toEqual([[], ["0-255 0-65535 allow"]]);
  });

  it("with an empty outbound list lets nothing out", async () => {
    const { outbound } = await built("policy: { outbound: [] }");
    expect(outbound).toEqual([]);
  });

  it("forwards to the same port when no other is named", async () => {
    const { portForwards } = await built("portForwards: [{ address: 2.2.2.2, protocol: udp, port: 53, to: 10.0.0.7 }]");
    const ports = { from: 53, to: 53 };
    expect(portForwards).toEqual([{ address: "2.2.2.2", protocol: 17, ports, to: "10.0.0.7", toPort: 53 }]);
  });

  it("forwards a range to as many ports from the first one that is named", async () => {
    const forward = "{ address: 2.2.2.2, protocol: tcp, port: 80-89, to: 10.0.0.7, toPort: 8080-8089 }";
    const { portForwards } = await built(`portForwards: [${forward}]`);
    const ports = { from: 80, to: 89 };
    expect(portForwards).toEqual([{ address: "2.2.2.2", protocol: 6, ports, to: "10.0.0.7", toPort: 8080 }]);
  });

  it("has no shared address when none is named", async () => {
    expect((await built()).snat).toBeUndefined();
  });

  it("has 0 for limits that are not named", async () => {
    const { limits } = await built("limits: { sessions: 5 }");
    expect(limits).toEqual({ ...noLimits, sessions: 5 });
  });

  it("has a route once that the config lists twice", async () => {
    const route = "{ to: 10.7.0.0/24, via: 172.168.0.11 }";
    const { config } = await configOf({ "xgw.yaml": `${head}- { name: a, key: 1, routes: [${route}, ${route}] }\n` });
    expect(buildDesired(config).tenants[0]?.routes).toEqual([{ to: "10.7.0.0/24", via: "172.168.0.11" }]);
  });
});

it("tenants come sorted by the ids they had, not by the config's order", async () => {
  const { config } = await configOf({ "xgw.yaml": head + tenant("new", 1) + tenant("old", 2) });
  const { tenants } = buildDesired(config, new Map([[2, 1]]));
  expect(tenants.map(({ name, id }) => [name, id])).toEqual([
    ["old", 1],
    ["new", 2],
  ]);
});

describe("built into the rest as a whole build would are", () => {
  it.each<[what: string, tenants: string, changed: readonly number[]]>([
    ["tenants that differ, or have gone", tenant("a", 1) + tenant("c", 3, "tunnel: gre"), [2, 3]],
    ["tenants that come", tenant("d", 9) + tenant("a", 1) + tenant("b", 2) + tenant("e", 8) + tenant("c", 3), [9, 8]],
    ["tenants that come for others", tenant("d", 9) + tenant("b", 2), [1, 3, 9]],
  ])("%s", async (_what, tenants, changed) => {
    const before = await configOf({ "xgw.yaml": head + tenant("a", 1) + tenant("b", 2) + tenant("c", 3) });
    const now = await configOf({ "xgw.yaml": head + tenants });
    const built = buildDesired(before.config);
    const ids = new Map(built.tenants.map(({ key, id }) => [key, id]));
    expect(rebuildDesired(now.config, built, new Set(changed))).toEqual(buildDesired(now.config, ids));
  });
});

describe("a config that is built again", async () => {
  const { config } = await loadConfig(seedFile);
  const [first] = buildDesired(config).tenants;

  it("has the same tenants, not built anew", () => expect(buildDesired(config).tenants[0]).toBe(first));

  it("has another tenant where its id is another", () =>
    expect(buildDesired(config, new Map([[first?.key as number, 7]])).tenants.at(-1)).toEqual({
      ...first,
      id: 7,
      routeTable: 100_007,
    }));
});
