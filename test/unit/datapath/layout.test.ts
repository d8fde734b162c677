// Entries of the BPF maps as bytes and back. That the bytes are where the programs look is tested with the programs.
import { describe, expect, it } from "vitest";
import { type DeviceNames, decodeEntry, encodeEntry, readU32, u32 } from "../../../src/datapath/layout.js";
import { mapLimits } from "../../../src/model/shares.js";
import type { Entry } from "../../../src/plan/state.js";
import { makeRandom } from "../../bpf/support/random.js";

/** Devices are named by their number. */
const names: DeviceNames = { indexOf: (name) => Number(name.slice(3)), nameOf: (ifindex) => `dev${ifindex}` };

const random = makeRandom();
const { integer, pick } = random;
const word = () => pick([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, integer(0, 0xffff_fffe)]);
const device = () => `dev${integer(1, 0x7fff_ffff)}`;
const address = () => pick(["0.0.0.0", "255.255.255.255", "128.0.0.1", random.address()]);

function prefix(): string {
  const length = integer(0, 32);
  const mask = length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
  const masked = (word() & mask) >>> 0;
  return `${[24, 16, 8, 0].map((shift) => (masked >>> shift) & 0xff).join(".")}/${length}`;
}

const page = () => [1, 2].map(() => word().toString(16).padStart(8, "0")).join("");

function destination() {
  return {
    map: "destinations",
    tenant: integer(1, 8191),
    address: address(),
    protocol: 0,
    port: 0,
    bits: 0,
    to: address(),
    toPort: 0,
  } as const;
}

const makers: Record<Entry["map"], () => Entry> = {
  tenants: () => ({
    map: "tenants",
    key: word(),
    value: {
      id: integer(1, 8191),
      zone: integer(1, 8191),
      vrf: device(),
      tunnel: device(),
      routeTable: word(),
      kind: pick(["gretap", "gre"] as const),
      mtu: integer(68, 65535),
      hasPolicy: pick([true, false]),
    },
  }),
  limits: () => ({ map: "limits", tenant: integer(0, 8191), value: mapLimits(word) }),
  settings: () => ({
    map: "settings",
    value: {
      tcpTimeoutMs: word(),
      udpTimeoutMs: word(),
      tcpTimeoutTicks: word(),
      udpTimeoutTicks: word(),
      sessionPool: word(),
      neighbourPool: word(),
      sessionRoom: word(),
      neighbourRoom: word(),
      newPool: word(),
    },
  }),
  peers: () => ({ map: "peers", tenant: integer(1, 8191), address: address() }),
  endpoints: () => ({ map: "endpoints", tenant: integer(1, 8191), prefix: prefix(), via: address() }),
  tunnels: () => ({ map: "tunnels", device: device(), tenant: integer(1, 8191) }),
  public_ips: () => ({
    map: "public_ips",
    address: address(),
    tenant: integer(1, 8191),
    device: device(),
    key: word(),
    mtu: integer(0, 65535),
  }),
  nics: () => ({ map: "nics", device: device() }),
  bond_members: () => ({ map: "bond_members", device: device(), bond: device() }),
  destinations: () =>
    pick<Entry>([
      { ...destination(), protocol: 0, port: 0, bits: 0, toPort: 0 },
      {
        ...destination(),
        protocol: pick([6, 17]),
        port: integer(1, 65535),
        bits: integer(8, 24),
        toPort: integer(1, 65535),
      },
    ]),
  policy_networks: () => ({
    map: "policy_networks",
    tenant: integer(1, 8191),
    direction: pick(["inbound", "outbound"] as const),
    prefix: prefix(),
    page: page(),
  }),
  policy_services: () => ({
    map: "policy_services",
    page: page(),
    protocol: integer(0, 255),
    port: integer(0, 65535),
    bits: integer(0, 24),
    mark: word(),
  }),
};

describe("what is encoded is decoded as it was", () => {
  for (const [map, make] of Object.entries(makers))
    it(`500 random entries of ${map}`, () => {
      for (let n = 0; n < 500; n++) {
        const entry = make();
        const seen = decodeEntry(entry.map, encodeEntry(entry, names), names);
        expect(seen, `entry ${n} of XGW_TEST_SEED=${random.seed}`).toEqual(entry);
      }
    });
});

describe("equal entries have equal JSON, which is how they are compared", () => {
  for (const [map, make] of Object.entries(makers))
    it(`an entry of ${map}, and the same decoded`, () => {
      const entry = make();
      expect(JSON.stringify(decodeEntry(entry.map, encodeEntry(entry, names), names))).toBe(JSON.stringify(entry));
    });
});

it("addresses lie in network byte order, numbers in the host's", () => {
  const { key } = encodeEntry({ map: "peers", tenant: 7, address: "172.168.0.1" }, names);
  expect([readU32(key, 0), key.subarray(4).toString("hex")]).toEqual([7, "aca80001"]);
});

it("an endpoint's tenant comes before its address bit by bit, as a trie compares", () => {
  const { key } = encodeEntry({ map: "endpoints", tenant: 7, prefix: "10.0.0.0/8", via: "172.168.0.7" }, names);
  expect([readU32(key, 0), key.subarray(4).toString("hex")]).toEqual([40, "000000070a000000"]);
});

it("words above 2^31 stay unsigned", () => expect(readU32(u32(0xffff_ffff), 0)).toBe(0xffff_ffff));
