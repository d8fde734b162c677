import type { Config, ConfigTenant } from "../config/schema.js";
import { allocateIds } from "./allocate.js";
import {
  type Desired,
  type DesiredRoute,
  type DesiredTenant,
  eventPlaces,
  maxTenants,
  routeTableBase,
  ruleSlots,
  templatePlaces,
} from "./desired.js";
import { fragmentMemoryFor } from "./fragments.js";
import { anyAddress, parseAddress } from "./ipv4.js";
import { kernelTables, poolsOf, promisedOf, roomsOf } from "./kernel-tables.js";
import { anyPort, anyProtocol, compilePolicy, type PolicyRule } from "./policy.js";
import { type Capacities, defaultNewPerSecond, mapLimits, sharesOf } from "./shares.js";
import { sharedSources } from "./sources.js";

/** What a tenant without an `outbound` list may do: everything. Its one cell counts as rule 0. */
const outboundDefault: readonly PolicyRule[] = [
  { verdict: "allow", protocol: anyProtocol, address: anyAddress, ports: [anyPort] },
];

const protocolNumber = { tcp: 6, udp: 17 } as const;

/**
 * The desired state of a checked config.
 *
 * @param idsInUse GRE key -> tenant id as read back from the kernel, so that an edit never renumbers a tenant
 * @param isTaken whether an id is another instance's
 */
export function buildDesired(
  config: Config,
  idsInUse: ReadonlyMap<number, number> = new Map(),
  isTaken?: (id: number) => boolean,
): Desired {
  const ids = allocateIds(keysOf(config), idsInUse, isTaken);
  const tenants = config.tenants.map((tenant) => tenantOf(tenant, ids.get(tenant.key) as number));
  return {
    instance: config.instance,
    underlay: { device: config.underlay.device, address: config.underlay.address },
    ...(config.uplink ? { uplink: { device: config.uplink.device, gateway: config.uplink.gateway } } : {}),
    nics: config.nics.map((nic) => ({ name: nic.name, xdp: nic.xdp })),
    mayForward: config.host.forward,
    tenants: tenants.sort((a, b) => a.id - b.id),
    maxTenants,
    ...sharedOut(config, tenants),
  };
}

function sharedOut(
  config: Config,
  tenants: readonly DesiredTenant[],
): Pick<Desired, "capacities" | "shares" | "newPool" | "pools" | "rooms" | "promised" | "fragmentMemory"> {
  const capacities = capacitiesOf(config, tenants);
  const newPool = Math.floor(newForAll(config) / 2);
  const shares = sharesOf(capacities, tenants, newPool);
  return {
    capacities,
    shares,
    newPool,
    pools: poolsOf(capacities),
    rooms: roomsOf(capacities),
    promised: promisedOf(capacities, shares, tenants),
    fragmentMemory: fragmentMemoryFor(tenants.length),
  };
}

const sessionsOf = ({ limits }: Config) => limits.sessions ?? kernelTables.sessions.capacity;

/** New connections a second: of all tenants, or, when the config says nothing, of those without a number of their own. */
const newForAll = (config: Config) => config.limits.newPerSecond ?? defaultNewPerSecond(sessionsOf(config));

const promisedNew = (tenants: readonly DesiredTenant[]) =>
  tenants.reduce((sum, { limits }) => sum + limits.newPerSecond, 0);

/** Of a table without a number in the config, what its map has: XGW_ENCAPS, XGW_RULES and the ring of events. */
const capacitiesOf = (config: Config, tenants: readonly DesiredTenant[]): Capacities => ({
  sessions: sessionsOf(config),
  newPerSecond: newForAll(config) + (config.limits.newPerSecond ? 0 : promisedNew(tenants)),
  flows: config.flows,
  templates: templatePlaces / 2,
  rules: ruleSlots / 2,
  eventsPerSecond: eventPlaces,
  neighbours: config.limits.neighbours ?? kernelTables.neighbours.capacity,
});

/**
 * The desired state of a config that differs from the one before in these tenants only, of which some may have come or gone.
 *
 * @param changed GRE keys
 * @param isTaken whether an id is somebody else's, or was a tenant's of this one's until now
 */
export function rebuildDesired(
  config: Config,
  before: Desired,
  changed: ReadonlySet<number>,
  isTaken?: (id: number) => boolean,
): Desired {
  const now = config.tenants.filter(({ key }) => changed.has(key));
  const ids = new Map(before.tenants.map(({ key, id }) => [key, id]));
  const next = now.every(({ key }) => ids.has(key)) ? ids : allocateIds(keysOf(config), ids, isTaken);
  const tenants = before.tenants.filter(({ key }) => !changed.has(key));
  tenants.push(...now.map((tenant) => tenantOf(tenant, next.get(tenant.key) as number)));
  return { ...before, tenants: tenants.sort((a, b) => a.id - b.id), ...sharedOut(config, tenants) };
}

const keysOf = ({ tenants }: Config) => tenants.map(({ key }) => key);

/** Of tenants that still exist: those of files that have not changed are the same objects in the next config. */
const builtBefore = new WeakMap<ConfigTenant, DesiredTenant>();

function tenantOf(tenant: ConfigTenant, id: number): DesiredTenant {
  const known = builtBefore.get(tenant);
  if (known?.id === id) return known;
  const built = buildTenant(tenant, id);
  builtBefore.set(tenant, built);
  return built;
}

function buildTenant(tenant: ConfigTenant, id: number): DesiredTenant {
  return {
    name: tenant.name,
    key: tenant.key,
    id,
    routeTable: routeTableBase + id,
    vrf: `xvrf${tenant.key}`,
    tunnel: `xgre${tenant.key}`,
    tunnelKind: tenant.tunnel,
    addresses: [...tenant.addresses],
    routes: routesOf(tenant),
    peers: peersOf(tenant),
    publicIps: tenant.publicIps.map(({ address, to }) => ({ address, to })),
    portForwards: tenant.portForwards.map((forward) => ({
      address: forward.address,
      protocol: protocolNumber[forward.protocol],
      ports: forward.port,
      to: forward.to,
      toPort: (forward.toPort ?? forward.port).from,
    })),
    snat: tenant.snat && { address: tenant.snat.address, from: sharedSources(tenant.routes, tenant.snat.from) },
    inbound: compilePolicy(tenant.policy.inbound),
    outbound: compilePolicy(tenant.policy.outbound ?? outboundDefault),
    established: tenant.policy.established,
    limits: mapLimits((resource) => tenant.limits[resource] ?? 0),
  };
}

/** In config order; a route that is listed twice (which is warned about) is one route. */
function routesOf(tenant: ConfigTenant): DesiredRoute[] {
  const routes = new Map(tenant.routes.map(({ to, via }) => [to, { to, via }]));
  return [...routes.values()];
}

/** Every `via`, once each, in numeric order. */
function peersOf(tenant: ConfigTenant): string[] {
  const vias = new Set(tenant.routes.map((route) => route.via));
  return [...vias].sort((a, b) => (parseAddress(a) as number) - (parseAddress(b) as number));
}
