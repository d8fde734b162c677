/**
 * A gateway among tenants, outsiders and networks of its own, drawn from a seed: its config, another one that it can be
 * changed to and back, its cables and neighbours. Nothing here touches the kernel.
 */

import type { ConfigInput } from "../../src/config/schema.js";
import type { Random } from "../../test/bpf/support/random.js";
import { macOf, tunnelMac } from "../frames/addresses.js";
import type { Way } from "../frames/draft.js";
import { type Cable, deviceOf, type Neighbour, type Vlan } from "../lab/own-namespace.js";

export const instance = "attack";

export const sideNames = ["underlay", "uplink", "unlisted", "listed"] as const;
export type SideName = (typeof sideNames)[number];

/** Where frames come and go: a cable, and the tags of its frames. */
export interface Side {
  readonly name: SideName;
  readonly wire: number;
  readonly tags: Way["vlans"];
  readonly nicMac: string;
  readonly device: string;
  /** The gateway's own there. */
  readonly addresses: readonly string[];
}

export type TenantInput = NonNullable<ConfigInput["tenants"]>[number];

/** A host of a tenant's, or one that it reaches through its tunnel. */
export interface TenantHost {
  readonly key: number;
  readonly kind: "gretap" | "gre";
  readonly address: string;
  readonly endpoint: string;
  readonly way: Way;
}

export interface AttackSite {
  readonly config: ConfigInput;
  /** What a change under way goes through, before it comes back: the last has a tenant in the place of one that has gone. */
  readonly others: readonly [gone: ConfigInput, replaced: ConfigInput];
  readonly cables: readonly Cable[];
  /** VLAN devices on NICs of the cables, beside those of the cables themselves. */
  readonly moreVlans: readonly { readonly nic: string; readonly vlan: Vlan; readonly address: string }[];
  readonly sides: readonly Side[];
  readonly neighbours: readonly Neighbour[];
  /**
   * Inside tenants, those that honest connections need; they are lost when a tenant's device is made anew. Others are asked for,
   * and a tenant's host may claim to be one of them.
   */
  readonly innerNeighbours: readonly Neighbour[];
  readonly hosts: readonly TenantHost[];
  /** In a few words. */
  readonly summary: string;
}

export const underlay = "172.168.0.1";
export const router = { address: "203.0.113.1", mac: macOf(3, 1) };
const uplinkAddress = "203.0.113.254";
/** On the underlay, but nobody's peers. */
export const bystanders = ["172.168.0.2", "172.168.0.66"];
/** Hosts beyond the uplink's router. */
export const outsiders = ["9.9.1.7", "9.9.1.8"];

/** The gateway's own networks on a NIC that xgw is not told of. */
export const own = {
  address: "192.168.99.1",
  host: "192.168.99.2",
  /** A host that the gateway reaches there, in a network that tenants have, too. */
  overlapping: "10.0.0.77",
  address6: "fd99::1",
  host6: "fd99::2",
} as const;
/** A host of each tenant that is found by ARP. */
const claimed = "10.0.0.8";
/** Of each tenant, a network in which nobody is there: hosts that the gateway asks for by ARP in a gretap tunnel. */
export const absent = {
  network: "10.1.0.0/16",
  host: (number: number) => `10.1.${(number >> 8) & 0xff}.${number & 0xff}`,
} as const;
export const listed = { address: "198.51.100.1", host: "198.51.100.2" } as const;

/** Somebody else's GRE tunnel on this machine, over the unlisted NIC. */
export const foreign = {
  device: "other0",
  key: 77,
  local: own.address,
  remote: own.host,
  address: "10.99.0.1",
  far: "10.99.0.2",
} as const;

/** What tenants share, in small numbers: a quarter of it at most is the share of one. */
export const capacities = { sessions: 1024, neighbours: 128 } as const;

export const last = (address: string) => Number(address.split(".")[3]);

/** Mostly none. */
function drawVlan(nic: string, { pick, integer }: Random): Vlan | undefined {
  const id = integer(2, 4094);
  return pick([undefined, undefined, { device: `${nic}.${id}`, type: pick([0x8100, 0x88a8] as const), id }]);
}

const tagsOf = (vlan: Vlan | undefined): Way["vlans"] => (vlan ? [[vlan.type, vlan.id]] : []);

interface DrawnTenant {
  readonly config: TenantInput;
  readonly hosts: readonly Omit<TenantHost, "way">[];
}

function drawTenant(index: number, { integer, pick }: Random): DrawnTenant {
  const kind = pick(["gretap", "gre"] as const);
  const key = pick([1000, integer(1, 0xffff), integer(1, 0xffff_fff0)]) + index;
  const host = (address: string, endpoint: string) => ({ key, kind, address, endpoint });
  // Hypervisors are shared by some tenants, but never all of them.
  const servers = ["10.0.0.7", "10.0.0.8"].map((address, n) =>
    host(address, `172.168.0.${pick([11, 11 + n, 20 + index, 20 + index])}`),
  );
  const client = host("1.1.1.7", `172.168.0.${pick([7, 30 + index])}`);
  const hosts = [...servers, client];
  const policies: NonNullable<TenantInput["policy"]>[] = [
    {
      inbound: [{ allow: "udp", ports: [53] }, { allow: "tcp", ports: [80, 443] }, { allow: "icmp" }],
      outbound: [{ deny: "tcp", ports: [22] }, { deny: "udp", to: "9.9.1.8/32" }, { allow: "any" }],
    },
    { inbound: [{ allow: "any", from: "9.9.1.0/24" }], outbound: [{ allow: "udp" }, { allow: "icmp" }] },
    { inbound: [] },
    { inbound: [{ allow: "any" }], outbound: [{ deny: "icmp" }, { allow: "any" }] },
  ];
  const isShared = pick([true, false]);
  const port = integer(1024, 60000);
  return {
    hosts,
    config: {
      name: `tenant${index}`,
      key,
      tunnel: kind,
      addresses: ["10.0.0.1/24", "1.1.1.1/24"],
      routes: [
        ...hosts.map(({ address, endpoint }) => ({ to: `${address}/32`, via: endpoint })),
        { to: absent.network, via: client.endpoint },
      ],
      publicIps: [{ address: `2.2.${index}.11`, to: "10.0.0.7" }],
      portForwards: [
        { address: `2.2.${index}.100`, protocol: "udp", port, to: "10.0.0.8", toPort: 53 },
        { address: `2.2.${index}.100`, protocol: "tcp", port: `${port}-${port + 9}`, to: "10.0.0.8", toPort: 80 },
      ],
      ...(isShared ? { snat: { address: `2.2.${index}.200` } } : {}),
      // The first is open, so that there are honest connections from outside.
      policy: index === 0 ? (policies[0] as never) : pick(policies),
    },
  };
}

/**
 * Where the public side is: nowhere but in tunnels, on a NIC of its own, or in a VLAN of the underlay's. The underlay is a NIC,
 * or a bond of two.
 */
function drawSides(random: Random, address: string) {
  const { pick } = random;
  const bond = pick([undefined, undefined, "bond0"]);
  const vlan = drawVlan(bond ?? "eth0", random);
  const nics = [macOf(0, 1), macOf(0, 2), macOf(0, 3), macOf(0, 4), macOf(0, 5)] as const;
  const cables: Cable[] = [
    { nic: "eth0", mac: nics[0], addresses: [`${underlay}/24`], mtu: 1500, bond, vlan },
    { nic: "mgmt0", mac: nics[1], addresses: [`${own.address}/24`, address], mtu: 1500 },
    { nic: "eth2", mac: nics[2], addresses: [`${listed.address}/24`], mtu: 1500 },
  ];
  const side = (name: SideName, wire: number, device: string, tags: Way["vlans"], ...addresses: string[]): Side => ({
    name,
    wire,
    device,
    tags,
    nicMac: cables[wire]?.mac ?? "",
    addresses,
  });
  const sides = [
    side("underlay", 0, vlan?.device ?? bond ?? "eth0", tagsOf(vlan), underlay),
    side("unlisted", 1, "mgmt0", [], own.address, address.slice(0, address.indexOf("/"))),
    side("listed", 2, "eth2", [], listed.address),
  ];
  const moreVlans: { nic: string; vlan: Vlan; address: string }[] = [];
  const kind = pick(["none", "own", "own", "shared"] as const);
  if (kind === "own") {
    const uplinkVlan = drawVlan("eth1", random);
    cables.push({ nic: "eth1", mac: nics[3], addresses: [`${uplinkAddress}/24`], mtu: 1500, vlan: uplinkVlan });
    sides.push(side("uplink", 3, uplinkVlan?.device ?? "eth1", tagsOf(uplinkVlan), uplinkAddress));
  }
  if (kind === "shared") {
    const id = vlan?.id === 7 ? 8 : 7;
    const other = { device: `${bond ?? "eth0"}.${id}`, type: 0x8100, id } as const;
    moreVlans.push({ nic: bond ?? "eth0", vlan: other, address: `${uplinkAddress}/24` });
    sides.push(side("uplink", 0, other.device, tagsOf(other), uplinkAddress));
  }
  if (bond) cables.push({ nic: "eth4", mac: nics[4], addresses: [], mtu: 1500, bond });
  const words = [
    `underlay ${vlan ? "in a VLAN" : "untagged"}${bond ? ", over a bond" : ""}`,
    { none: "no uplink", own: "uplink", shared: "uplink in a VLAN of the underlay's NIC" }[kind],
  ];
  return { cables, sides, moreVlans, summary: words.join(", ") };
}

export function drawSite(random: Random): AttackSite {
  const { integer, pick } = random;
  const tenants = Array.from({ length: integer(2, 4) }, (_, index) => drawTenant(index, random));
  const newcomer = drawTenant(tenants.length, random);
  const newPerSecond = pick([undefined, 900]);
  const overlap = pick(["10.0.0.7/24", "10.0.0.99/24"]);
  const { cables, sides, moreVlans, summary } = drawSides(random, overlap);
  const [under, , , up] = [sides[0], sides[1], sides[2], sides[3]];
  if (!under) throw new Error("a site has an underlay");
  const hosts = [...tenants, newcomer].flatMap(({ hosts: some }) =>
    some.map((host): TenantHost => ({ ...host, way: wayOf(host, under) })),
  );
  const listedCables = sides.filter(({ name }) => name !== "unlisted").map(({ wire }) => cables[wire] as Cable);
  const nics = [...new Set(listedCables.map(deviceOf))];
  const config = (some: readonly TenantInput[]): ConfigInput => ({
    apiVersion: "xgw/v1",
    instance,
    underlay: { device: under.device, address: underlay },
    ...(up ? { uplink: { device: up.device, gateway: router.address } } : {}),
    nics: nics.map((name) => ({ name, xdp: "native" })),
    flows: 16384,
    // So that a flood comes to more than a share.
    limits: { sessions: capacities.sessions, neighbours: capacities.neighbours, newPerSecond },
    tenants: [...some],
  });
  const configs = tenants.map((tenant) => tenant.config);
  return {
    config: config(configs),
    others: [config(changed(configs)), config([...changed(configs), newcomer.config])],
    cables,
    moreVlans,
    sides,
    hosts,
    neighbours: neighbours(sides, hosts),
    innerNeighbours: hosts
      .filter(({ kind, address }) => kind === "gretap" && address !== claimed)
      .map(({ key, address }) => ({ device: `xgre${key}`, address, mac: macOf(2, last(address)) })),
    summary: [
      ...tenants.map(({ config: { tunnel } }) => tunnel),
      summary,
      `the gateway has ${overlap}`,
      ...(newPerSecond ? [`${newPerSecond} new connections a second`] : []),
    ].join(", "),
  };
}

/** The last tenant has gone, and the one before it lets nobody in. */
function changed(tenants: readonly TenantInput[]): TenantInput[] {
  const staying = tenants.slice(0, -1);
  return staying.map((tenant, at) =>
    at === staying.length - 1 && at > 0 ? { ...tenant, policy: { ...tenant.policy, inbound: [] } } : tenant,
  );
}

function wayOf({ key, kind, address, endpoint }: Omit<TenantHost, "way">, side: Side): Way {
  return {
    wire: side.wire,
    wrap: kind,
    sourceMac: macOf(1, last(endpoint)),
    gatewayMac: side.nicMac,
    vlans: side.tags,
    tunnel: {
      endpoint,
      gateway: underlay,
      key,
      ...(kind === "gretap" ? { macs: [macOf(2, last(address)), tunnelMac(key)] as const } : {}),
    },
  };
}

function neighbours(sides: readonly Side[], hosts: readonly TenantHost[]): Neighbour[] {
  const device = (name: SideName) => sides.find((side) => side.name === name)?.device;
  const endpoints = [...new Set(hosts.map(({ endpoint }) => endpoint))];
  const on = (name: SideName, kind: number, addresses: readonly string[]): Neighbour[] => {
    const at = device(name);
    return at === undefined
      ? []
      : addresses.map((address) => ({
          device: at,
          address,
          mac: macOf(kind, address.includes(":") ? 0x66 : last(address)),
        }));
  };
  return [
    ...on("underlay", 1, [...endpoints, ...bystanders]),
    ...on("unlisted", 4, [own.host, own.host6, own.overlapping, "10.0.0.8", "10.0.0.2"]),
    ...on("listed", 5, [listed.host]),
    ...on("uplink", 3, [router.address, "203.0.113.7"]),
  ];
}

/** How somebody on a side's wire sends. */
export const plainWay = (side: Side, from: number): Way => ({
  wire: side.wire,
  wrap: "plain",
  sourceMac: macOf(6, from),
  gatewayMac: side.nicMac,
  vlans: side.tags,
});

/** Those of all its configs. */
export function allTenants({ config, others }: AttackSite): readonly TenantInput[] {
  const all = [config, ...others].flatMap(({ tenants = [] }) => tenants);
  return all.filter(({ key }, at) => all.findIndex((other) => other.key === key) === at);
}

export const sideOf = (site: AttackSite, name: SideName): Side | undefined =>
  site.sides.find((side) => side.name === name);
