/**
 * What lies around a gateway whose surroundings change, drawn from a seed: two NICs towards the underlay with a router at
 * each, an uplink, tenants. Nothing here touches the kernel.
 */

import type { ConfigInput } from "../../src/config/schema.js";
import type { Random } from "../../test/bpf/support/random.js";
import { macOf } from "../frames/addresses.js";

export type TenantInput = NonNullable<ConfigInput["tenants"]>[number];

/** By index: the wires' numbers. */
export const nics = [
  { name: "eth0", mac: macOf(0, 1), address: "172.168.0.1/24" },
  { name: "eth1", mac: macOf(0, 2), address: "172.168.1.1/24" },
  { name: "eth2", mac: macOf(0, 3), address: "203.0.113.254/24" },
] as const;
export const uplinkWire = 2;
export const underlay = "172.168.0.1";
export const outsider = "9.9.1.7";
export const uplinkRouter = "203.0.113.1";

/** Towards the underlay: by index, the wire that it is at. */
export const routers = ["172.168.0.254", "172.168.1.254"] as const;
/** Behind the routers: to each lead two routes, of which the one with the smaller metric is by the router of this index. */
export const farNetworks = [
  { network: "10.200.0.0/24", first: 0 },
  { network: "10.200.1.0/24", first: 1 },
] as const;

/** Endpoints of tunnels: one on the first NIC's wire, the others behind routers. */
export const endpoints = ["172.168.0.11", "10.200.0.12", "10.200.0.13", "10.200.1.14", "10.200.1.15"] as const;
export const isFar = (endpoint: string): boolean => endpoint.startsWith("10.200.");

/** Addresses on the wires that somebody answers for, and by which wire. */
export const onWire: ReadonlyMap<string, number> = new Map([
  [endpoints[0], 0],
  [routers[0], 0],
  [routers[1], 1],
  [uplinkRouter, uplinkWire],
]);

/** The addresses of each tenant's hosts. */
export const servers = ["10.0.0.7", "10.0.0.8"] as const;
export const client = "1.1.1.7";

function drawTenant(index: number, { pick, integer }: Random): TenantInput {
  const at = (address: string) => ({ to: `${address}/32`, via: pick(endpoints) });
  return {
    name: `tenant${index}`,
    key: 1000 * (index + 1) + integer(0, 99),
    tunnel: index === 0 ? "gretap" : "gre",
    addresses: ["10.0.0.1/24", "1.1.1.1/24"],
    routes: [...servers, client].map(at),
    publicIps: [{ address: `2.2.${index}.11`, to: servers[0] }],
    snat: { address: `2.2.${index}.200` },
    policy: { inbound: [{ allow: "udp" }, { allow: "tcp" }], outbound: [{ allow: "any" }] },
  };
}

export const drawTenants = (random: Random): TenantInput[] => [drawTenant(0, random), drawTenant(1, random)];

/** @param instance a gateway's own: what is pinned is seen by all network namespaces */
export const configOf = (instance: string, tenants: readonly TenantInput[]): ConfigInput => ({
  apiVersion: "xgw/v1",
  instance,
  underlay: { device: nics[0].name, address: underlay },
  uplink: { device: nics[uplinkWire].name, gateway: uplinkRouter },
  nics: nics.map(({ name }) => ({ name, xdp: "native" })),
  flows: 4096,
  tenants: [...tenants],
});

/** How the routes to far networks are at first, as `ip` takes them. */
export const routesAtFirst: readonly string[] = farNetworks.flatMap(({ network, first }) => [
  `route replace ${network} via ${routers[first]} metric 100`,
  `route replace ${network} via ${routers[1 - first]} metric 200`,
]);
