/**
 * A gateway and what is around it, drawn from a seed: the config that the gateway gets, the cables, the neighbours, and
 * what can be connected to what. Nothing here touches the kernel.
 *
 * A new kind of side is a new kind of `Party`, with its `Way` to the gateway; a new kind of NAT is another `Service`.
 */

import type { Random } from "../../test/bpf/support/random.js";
import { macOf, tunnelMac } from "../frames/addresses.js";
import type { Protocol, Tuple, Way } from "../frames/draft.js";
import { type Cable, deviceOf, type Neighbour, type Vlan } from "../lab/own-namespace.js";

export const instance = "differential";

/** A connection to be: its first packet, as it arrives. */
export interface Opening {
  readonly name: string;
  readonly way: Way;
  readonly tuple: Tuple;
}

export interface Site {
  readonly config: object;
  readonly cables: readonly Cable[];
  readonly neighbours: readonly Neighbour[];
  /** `ip` commands. */
  readonly routes: readonly string[];
  readonly services: readonly Service[];
  /** In a few words. */
  readonly summary: string;
}

const underlay = "172.168.0.1";
/** On the underlay, but nobody's peers. */
const bystanders = ["172.168.0.2", "172.168.0.66"];

const last = (address: string) => Number(address.split(".")[3]);

/** Who may open a connection, and how its packets reach the gateway. */
interface Party {
  readonly address: string;
  readonly way: Way;
}

/** Something that answers connections. */
export interface Service {
  readonly name: string;
  readonly parties: readonly Party[];
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

interface Host {
  readonly address: string;
  readonly endpoint: string;
}

interface TenantSite {
  readonly key: number;
  readonly kind: "gretap" | "gre";
  readonly hosts: readonly Host[];
  readonly config: object;
  readonly services: readonly Service[];
}

/** What all tenants of a site share. */
interface Surroundings {
  readonly nicMac: string;
  readonly vlans: Way["vlans"];
  /** Who reaches the gateway by its uplink. */
  readonly outsiders: readonly Party[];
}

/** Public ports that lead to a host, one of which is tried. */
function drawForward(protocol: Protocol, address: string, to: string, { integer, pick }: Random) {
  const port = integer(1, 60000);
  const toPort = pick([port, integer(1, 60000)]);
  const more = pick([0, 0, integer(1, 40)]);
  const tried = integer(0, more);
  const range = (first: number) => (more === 0 ? first : `${first}-${first + more}`);
  const config = { address, protocol, port: range(port), to, toPort: range(toPort) };
  return { protocol, config, port: port + tried, target: toPort + tried };
}

function drawTenant(index: number, random: Random, { nicMac, vlans, outsiders }: Surroundings): TenantSite {
  const { integer, pick } = random;
  const kind = pick(["gretap", "gre"] as const);
  const key = pick([integer(1, 0xffff), integer(1, 0xffff_fffe)]) + index;
  const servers: Host[] = Array.from({ length: integer(1, 2) }, (_, n) => ({
    address: `10.0.0.${7 + n}`,
    endpoint: `172.168.0.${pick([11, 11 + n, 11 + index])}`,
  }));
  const clients: Host[] = Array.from({ length: integer(1, 2) }, (_, n) => ({
    address: `1.1.1.${7 + n}`,
    endpoint: `172.168.0.${pick([7, 7 + n])}`,
  }));
  const publicIps = servers
    .map(({ address }, n) => ({ address: `2.2.${index}.${11 + n}`, to: address }))
    .slice(0, pick([1, servers.length]));
  const isShared = pick([true, false]);
  const forwards = (["tcp", "udp"] as const).map((protocol, n) =>
    drawForward(protocol, `2.2.${index}.100`, servers[n % servers.length]?.address ?? "", random),
  );
  const open = { tcp: integer(1, 60000), udp: integer(1, 60000) };
  const portsOf = (protocol: Protocol) => [
    ...new Set([open[protocol], ...forwards.filter((f) => f.protocol === protocol).map(({ target }) => target)]),
  ];
  const config = {
    name: `tenant${index}`,
    key,
    tunnel: kind,
    addresses: ["10.0.0.1/24", "1.1.1.1/24"],
    routes: [...servers, ...clients].map(({ address, endpoint }) => ({ to: `${address}/32`, via: endpoint })),
    publicIps,
    portForwards: forwards.map((forward) => forward.config),
    ...(isShared ? { snat: { address: `2.2.${index}.200` } } : {}),
    policy: {
      inbound: [
        { allow: "tcp", ports: portsOf("tcp") },
        { allow: "udp", ports: portsOf("udp") },
        ...(pick([true, false]) ? [{ allow: "icmp" }] : []),
      ],
      outbound: [{ deny: "tcp", ports: [22] }, { allow: "any" }],
    },
  };
  const party = ({ address, endpoint }: Host): Party => ({
    address,
    way: {
      wire: 0,
      wrap: kind,
      sourceMac: macOf(1, last(endpoint)),
      gatewayMac: nicMac,
      vlans,
      tunnel: {
        endpoint,
        gateway: underlay,
        key,
        ...(kind === "gretap" ? { macs: [macOf(2, last(address)), tunnelMac(key)] as const } : {}),
      },
    },
  });
  const everybody = [...clients.map(party), ...outsiders];
  // By the uplink leaves only what has a public address.
  const translated = servers.filter(({ address }) => isShared || publicIps.some(({ to }) => to === address)).map(party);
  const services = (["tcp", "udp"] as const).flatMap((protocol): Service[] => {
    const of = (what: string, parties: readonly Party[], address: string, port: number): Service => ({
      name: `tenant ${index} (${kind}), ${protocol} ${what}`,
      parties,
      protocol,
      address,
      port,
    });
    const port = pick(protocol === "tcp" ? [23, 80, 443, 33000] : [53, 443, 5000]);
    return [
      ...publicIps.map(({ address }) => of("to a public address", everybody, address, open[protocol])),
      ...forwards
        .filter((forward) => forward.protocol === protocol)
        .map((forward) => of("to a forwarded port", everybody, forward.config.address, forward.port)),
      ...clients.map(({ address }) => of("from a host", servers.map(party), address, port)),
      ...outsiders.map(({ address }) => of("from a host to outside", translated, address, port)),
    ];
  });
  return { key, kind, hosts: [...servers, ...clients], config, services };
}

/** Seeds that share a site, and live in it one after the other. */
export const seedsOfASite = 10;

/**
 * Connections for one seed.
 *
 * @param slot which of the seeds of this site it is: their connections must not be the same
 */
export function drawOpenings({ services }: Site, random: Random, slot: number): Opening[] {
  return Array.from({ length: 12 }, (_, n) => {
    const service = services[(n + random.integer(0, 1)) % services.length] as Service;
    const { address: src, way } = random.pick(service.parties);
    // Far enough from each other for "one port off" to be nobody's.
    const sport = 1024 + 4096 * n + 400 * slot + 10 * random.integer(0, 12);
    const tuple = { protocol: service.protocol, src, sport, dst: service.address, dport: service.port };
    return { name: service.name, way, tuple };
  });
}

/** Mostly none. */
function drawVlan(nic: string, { pick, integer }: Random): Vlan | undefined {
  const id = integer(1, 4094);
  return pick([undefined, undefined, { device: `${nic}.${id}`, type: pick([0x8100, 0x88a8] as const), id }]);
}

const tagsOf = (vlan: Vlan | undefined): Way["vlans"] => (vlan ? [[vlan.type, vlan.id]] : []);

const router = { address: "203.0.113.1", mac: macOf(3, 1) };
/** Between which the kernel chooses for each connection. */
const underlayRouters = ["172.168.0.253", "172.168.0.254"];

/** How the gateway is linked to the underlay: by a NIC, by a bond of two, or by a NIC and one of two routers. */
export type Link = "NIC" | "bond" | "two routers";
const links: readonly Link[] = ["bond", "two routers", "NIC", "NIC"];
/** By a site's number, and not drawn: what is drawn for old seeds stays. */
export const linkOf = (number: number): Link => links[number % links.length] as Link;

const hops = (routers: readonly string[]) => routers.map((via) => `nexthop via ${via}`).join(" ");

export function drawSite(random: Random, link: Link = "NIC"): Site {
  const { integer, pick } = random;
  const bond = link === "bond" ? "bond0" : undefined;
  const vlan = drawVlan(bond ?? "eth0", random);
  const cables: Cable[] = [{ nic: "eth0", mac: macOf(0, 1), addresses: [`${underlay}/24`], mtu: 1500, bond, vlan }];
  const outsiders: Party[] = [];
  const uplinkVlan = drawVlan("eth1", random);
  if (pick([true, false])) {
    const mac = macOf(0, 2);
    cables.push({ nic: "eth1", mac, addresses: ["203.0.113.254/24"], mtu: 1500, vlan: uplinkVlan });
    const way = { wire: 1, wrap: "plain", sourceMac: router.mac, gatewayMac: mac, vlans: tagsOf(uplinkVlan) } as const;
    for (const address of ["9.9.1.7", "9.9.1.8"]) outsiders.push({ address, way });
  }
  const surroundings = { nicMac: macOf(0, 1), vlans: tagsOf(vlan), outsiders };
  const tenants = Array.from({ length: integer(1, 2) }, (_, index) => drawTenant(index, random, surroundings));
  const [underlayDevice = "", uplinkDevice] = cables.map((cable) => cable.vlan?.device ?? deviceOf(cable));
  const nics = cables.map(deviceOf);
  if (bond) cables.push({ nic: "eth2", mac: macOf(0, 3), addresses: [], mtu: 1500, bond });
  const endpoints = [...new Set(tenants.flatMap(({ hosts }) => hosts).map(({ endpoint }) => endpoint))];
  const inner = tenants.flatMap(({ key, kind, hosts }) =>
    kind === "gretap"
      ? hosts.map(({ address }) => ({ device: `xgre${key}`, address, mac: macOf(2, last(address)) }))
      : [],
  );
  const routers = link === "two routers" ? underlayRouters : [];
  const outer = [...endpoints, ...bystanders, ...routers].map((address) => ({
    device: underlayDevice,
    address,
    mac: macOf(1, last(address)),
  }));
  return {
    config: {
      apiVersion: "xgw/v1",
      instance,
      underlay: { device: underlayDevice, address: underlay },
      ...(uplinkDevice === undefined ? {} : { uplink: { device: uplinkDevice, gateway: router.address } }),
      nics: nics.map((name) => ({ name, xdp: "native" })),
      tenants: tenants.map(({ config }) => config),
    },
    cables,
    neighbours: [...outer, ...inner, ...(uplinkDevice === undefined ? [] : [{ device: uplinkDevice, ...router }])],
    routes: routers.length === 0 ? [] : endpoints.map((endpoint) => `route replace ${endpoint}/32 ${hops(routers)}`),
    services: tenants.flatMap(({ services }) => services),
    summary: [
      ...tenants.map(({ kind }) => kind),
      ...(vlan ? ["underlay in a VLAN"] : []),
      ...(link === "NIC" ? [] : [link]),
      ...(uplinkDevice === undefined ? [] : [uplinkVlan ? "uplink in a VLAN" : "uplink"]),
    ].join(", "),
  };
}
