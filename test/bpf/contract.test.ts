// What TypeScript believes of the programs' types, compared with what the compiled programs say by BTF.
import { BpfObject, type Btf } from "libbpf-ts";
import { afterAll, describe, expect, it } from "vitest";
import { ruleRests, tiers } from "../../src/datapath/accounting.js";
import { encodeEntry } from "../../src/datapath/layout.js";
import { eventOffsets } from "../../src/datapath/raw-event.js";
import { reasonSlots, reasons } from "../../src/datapath/reasons.js";
import { templateStates } from "../../src/datapath/templates.js";
import { maxTenants } from "../../src/model/desired.js";
import { deniedMark, outboundMark, packetMarks, ruleMask, rulesScript } from "../../src/plan/rules.js";
import type { Entry } from "../../src/plan/state.js";
import { objectFile } from "./support/datapath.js";

const xdp = BpfObject.open(objectFile("xdp.bpf.o"));
const tc = BpfObject.open(objectFile("tc.bpf.o"));
afterAll(() => {
  xdp.close();
  tc.close();
});
const btf = xdp.btf as Btf;

/** Names of an enum's values by number, without what they all begin with. */
function namesOf(enumName: string, prefix: string): string[] {
  const type = btf.get(enumName, "enum") as { values: { name: string; value: number }[] };
  return [...type.values]
    .sort((a, b) => a.value - b.value)
    .map(({ name }) => (name.startsWith(prefix) ? name.slice(prefix.length).toLowerCase() : name));
}

/** Byte offsets of a struct's members. */
function offsetsOf(structName: string): Record<string, number> {
  const type = btf.get(structName, "struct") as { members: { name: string; bitOffset: number }[] };
  return Object.fromEntries(type.members.map(({ name, bitOffset }) => [name, bitOffset / 8]));
}

describe("reasons", () => {
  it("have the names of enum xgw_reason, in its order", () => {
    expect(reasons.map(({ name }) => name)).toEqual(namesOf("xgw_reason", "XGW_REASON_").slice(0, -1));
  });

  it("fit the slots of a tenant", () => {
    expect(reasons.length).toBeLessThanOrEqual(reasonSlots);
  });

  it("have as many slots in TypeScript as in the map", () => {
    expect(xdp.mapSpec("reason_stats")).toMatchObject({ maxEntries: maxTenants, valueSize: 16 * reasonSlots });
  });

  it("come in the order of their verdicts: forwarded, passed, dropped", () => {
    const order = ["forwarded", "pass", "drop"];
    const ranks = reasons.map(({ verdict }) => order.indexOf(verdict));
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
  });
});

describe("wraps", () => {
  it("have the order of the tunnel kinds", () => {
    expect(namesOf("xgw_wrap", "XGW_WRAP_")).toEqual(["gretap", "gre", "plain"]);
  });
});

describe("states of templates", () => {
  it("are those of enum xgw_encap_state", () => {
    expect(Object.keys(templateStates)).toEqual(namesOf("xgw_encap_state", "XGW_ENCAP_"));
  });
});

describe("tiers", () => {
  it("have the names of enum xgw_tier, in its order", () => {
    expect([...tiers]).toEqual(namesOf("xgw_tier", "XGW_TIER_").slice(0, -1));
  });
});

describe("marks of packets", () => {
  const type = btf.get("xgw_mark", "enum") as { values: { name: string; value: number }[] };
  const inPrograms = Object.fromEntries(
    type.values.map(({ name, value }) => [name.slice("XGW_MARK_".length).toLowerCase(), value >>> 0]),
  );

  it("are those of enum xgw_mark", () => expect(inPrograms).toEqual(packetMarks));

  it("leave room for every rule's mark, and have none of its bits", () => {
    expect([outboundMark & packetMarks.rule, packetMarks.rule & (packetMarks.own | packetMarks.stack)]).toEqual([
      outboundMark,
      0,
    ]);
  });

  it("are in the nft rules as they are here", () => {
    const words = rulesScript("gw1").match(/0x[0-9a-f]+/g) ?? [];
    expect(words.map(Number)).toEqual(expect.arrayContaining([packetMarks.own, packetMarks.stack, packetMarks.uplink]));
  });
});

describe("the slots of rules", () => {
  it("begin with one for each tenant id", () => expect(ruleRests).toBe(maxTenants));

  it("are as many in both maps", () => {
    expect(xdp.mapSpec("rule_stats").maxEntries).toBe(xdp.mapSpec("rules").maxEntries);
  });
});

describe("marks", () => {
  it("have the bits of enum xgw_ct_mark", () => {
    const values = (btf.get("xgw_ct_mark", "enum") as { values: { name: string; value: number | bigint }[] }).values;
    expect(Object.fromEntries(values.map(({ name, value }) => [name, Number(value) >>> 0]))).toEqual({
      XGW_CT_MARK_RULE: ruleMask,
      XGW_CT_MARK_OUTBOUND: outboundMark,
      XGW_CT_MARK_DENIED: deniedMark,
    });
  });
});

describe("the maps of both objects", () => {
  const shape = (object: BpfObject) =>
    new Map(
      object.maps
        .filter((map) => !map.internal)
        .map(({ name, type, keySize, valueSize, maxEntries, flags }) => [
          name,
          { type, keySize, valueSize, maxEntries, flags },
        ]),
    );

  it("are alike where they are shared", () => {
    const [a, b] = [shape(xdp), shape(tc)];
    const shared = [...a.keys()].filter((name) => b.has(name));
    expect(Object.fromEntries(shared.map((name) => [name, b.get(name)]))).toEqual(
      Object.fromEntries(shared.map((name) => [name, a.get(name)])),
    );
  });

  it("have a slot in the arrays for every tenant id", () => {
    expect([xdp.mapSpec("generations").maxEntries, xdp.mapSpec("tenants").maxEntries]).toEqual([
      maxTenants,
      maxTenants,
    ]);
  });
});

describe("entries that the daemon writes", () => {
  const names = { indexOf: (name: string) => Number(name.slice(3)), nameOf: (index: number) => `dev${index}` };
  const limits = {
    sessions: 1,
    newPerSecond: 2,
    flows: 3,
    templates: 4,
    rules: 5,
    eventsPerSecond: 6,
    neighbours: 7,
  };
  const timeouts = { tcpTimeoutMs: 1, udpTimeoutMs: 2, tcpTimeoutTicks: 3, udpTimeoutTicks: 4 };
  const settings = { ...timeouts, sessionPool: 5, neighbourPool: 6, sessionRoom: 7, neighbourRoom: 8, newPool: 9 };
  const entries: readonly Entry[] = [
    {
      map: "tenants",
      key: 0x01020304,
      value: {
        id: 0x11,
        zone: 0x22,
        vrf: "dev51",
        tunnel: "dev68",
        routeTable: 0x55,
        kind: "gre",
        mtu: 0x77,
        hasPolicy: true,
      },
    },
    { map: "peers", tenant: 7, address: "172.168.0.1" },
    { map: "endpoints", tenant: 7, prefix: "10.0.0.0/8", via: "172.168.0.1" },
    { map: "tunnels", device: "dev68", tenant: 7 },
    { map: "public_ips", address: "2.2.2.11", tenant: 7, device: "dev68", key: 0x99, mtu: 1500 },
    { map: "nics", device: "dev68" },
    { map: "limits", tenant: 7, value: limits },
    { map: "settings", value: settings },
    {
      map: "destinations",
      tenant: 7,
      address: "2.2.2.11",
      protocol: 6,
      port: 80,
      bits: 24,
      to: "10.0.0.7",
      toPort: 8080,
    },
    { map: "policy_networks", tenant: 7, direction: "outbound", prefix: "10.0.0.0/8", page: "0123456789abcdef" },
    { map: "policy_services", page: "0123456789abcdef", protocol: 6, port: 80, bits: 24, mark: 1 },
  ];

  for (const entry of entries)
    it(`of ${entry.map} have its sizes`, () => {
      const { keySize, valueSize } = (entry.map === "tunnels" ? tc : xdp).mapSpec(entry.map);
      const { key, value } = encodeEntry(entry, names);
      expect([key.length, value.length]).toEqual([keySize, valueSize]);
    });

  it("of tenants have each field where the programs look for it", () => {
    const [entry] = entries;
    const { value } = encodeEntry(entry as Entry, names);
    const seen = Object.entries(offsetsOf("xgw_tenant")).map(([name, offset]) => [name, value.readUInt32LE(offset)]);
    expect(Object.fromEntries(seen)).toEqual({
      id: 0x11,
      zone: 0x22,
      vrf_ifindex: 51,
      tunnel_ifindex: 68,
      route_table: 0x55,
      wrap: 1,
      mtu: 0x77,
      flags: 1,
    });
  });

  it("of limits have each field where the programs look for it", () => {
    const { value } = encodeEntry({ map: "limits", tenant: 7, value: limits }, names);
    const seen = Object.entries(offsetsOf("xgw_limits")).map(([name, offset]) => [name, value.readUInt32LE(offset)]);
    expect(Object.fromEntries(seen)).toEqual({
      sessions: 1,
      new_per_second: 2,
      flows: 3,
      templates: 4,
      rules: 5,
      events_per_second: 6,
      neighbours: 7,
      pad: 0,
    });
  });

  it("of settings have each field where the programs look for it", () => {
    const { value } = encodeEntry({ map: "settings", value: settings }, names);
    const seen = Object.entries(offsetsOf("xgw_settings")).map(([name, offset]) => [name, value.readUInt32LE(offset)]);
    expect(Object.fromEntries(seen)).toEqual({
      tcp_timeout_ms: 1,
      udp_timeout_ms: 2,
      tcp_timeout_jiffies: 3,
      udp_timeout_jiffies: 4,
      session_pool: 5,
      neighbour_pool: 6,
      session_room: 7,
      neighbour_room: 8,
      new_pool: 9,
    });
  });

  it("of peers have the tenant, then the address", () => {
    expect(offsetsOf("xgw_peer_key")).toEqual({ tenant: 0, address: 4 });
  });

  it("of events are where they are read", () => {
    expect(eventOffsets).toEqual(offsetsOf("xgw_event"));
  });

  it("of flows and counters are read where the programs write them", () => {
    expect([offsetsOf("xgw_flow").tenant, offsetsOf("xgw_counter")]).toEqual([22, { packets: 0, bytes: 8 }]);
  });
});

it("the constants of config.h are those that the loader sets, and those that have a default", () => {
  const names = xdp.variables.filter(({ section }) => section === ".rodata").map(({ name }) => name);
  expect(names.filter((name) => name !== "xgw_types").sort()).toEqual([
    "drops_told",
    "drops_told_of_all",
    "flow_buckets",
    "flow_seed",
    "fragment_nic_share",
    "fragment_pool",
    "fragment_share",
    "has_bonds",
    "liveness_jiffies",
    "sample_seconds",
    "tx_is_redirect",
    "underlay_address",
    "underlay_ifindex",
    "underlay_others",
    "underlay_tag_bytes",
    "underlay_tags",
    "uplink_ifindex",
    "uplink_mac",
    "uplink_tag_bytes",
    "uplink_tags",
    "way_jiffies",
  ]);
});
