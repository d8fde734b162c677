/** What the kernel has of the slow path, in the form in which it is compared. Only what is ours is reported. */

import { ForeignError } from "../errors.js";
import { type NftTable, readTable, unknown } from "../kernel/nftables.js";
import { families, readRuleOrders } from "../kernel/routing-rules.js";
import {
  type InterfaceAddress,
  type KernelRoute,
  type Link,
  linkNames,
  type Neighbour,
  readAddresses,
  readLinks,
  readNeighbours,
  readRoutes,
} from "../kernel/rtnetlink.js";
import { hasSysctl, readSysctl } from "../kernel/sysctl.js";
import type { Desired } from "../model/desired.js";
import { routeTableBase } from "../model/desired.js";
import { formatPrefix } from "../model/ipv4.js";
import { groupBit, groupOf, instanceOf, routeProtocol } from "../plan/owner.js";
import {
  areRulesWhole,
  damagedRules,
  isElementSet,
  rulesVersion,
  tableName,
  typesOfSet,
  versionOf,
} from "../plan/rules.js";
import { isShareWhole, isVerdictMap, setOfMap, shareOfFlowtable } from "../plan/shares.js";
import {
  type Address,
  addressId,
  byId,
  type Device,
  type Element,
  elementId,
  neighbourId,
  type Route,
  routeId,
  type State,
} from "../plan/state.js";

export type SlowPathState = Pick<
  State,
  | "devices"
  | "ifindexes"
  | "addresses"
  | "neighbours"
  | "routes"
  | "ruleOrder"
  | "rules"
  | "flowtableDevices"
  | "elements"
>;

export interface ObservedSlowPath {
  readonly state: SlowPathState;
  readonly links: readonly Link[];
}

/** @throws ForeignError when something of another owner has a name or table that xgw needs */
export function observeSlowPath(instance: string): ObservedSlowPath {
  const links = readLinks();
  const names = linkNames(links);
  const state: SlowPathState = {
    ...toRouting(instance, {
      links,
      addresses: readAddresses(names),
      neighbours: readNeighbours(names),
      routes: readRoutes(names, routeProtocol),
    }),
    ruleOrder: readRuleOrders(),
    ...toNft(
      instance,
      readTable(tableName(instance), typesOfCompared),
      families().includes("ipv6") ? [readTable(tableName(instance), typesOfCompared, "ip6")] : [],
    ),
  };
  return { state, links };
}

/** What rtnetlink tells. */
export interface Told {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly neighbours: readonly Neighbour[];
  readonly routes: readonly KernelRoute[];
}

/** What of it is ours, in the form in which it is compared. */
export function toRouting(
  instance: string,
  { links, addresses, neighbours, routes }: Told,
): Pick<State, "devices" | "ifindexes" | "addresses" | "neighbours" | "routes"> {
  const ours = links.filter((link) => isOurs(instance, link));
  const devices = new Map(ours.map((link): [string, Device] => [link.name, toDevice(instance, link)]));
  const theirs = new Set(tablesOfOthers(instance, links));
  return {
    devices,
    ifindexes: new Map(ours.map(({ name, ifindex }) => [name, ifindex])),
    addresses: byId(
      addresses
        .filter(({ device }) => devices.has(device))
        .map(({ device, address, prefixLength }): Address => ({ device, address: `${address}/${prefixLength}` })),
      addressId,
    ),
    neighbours: byId(
      neighbours
        .filter((one) => one.isPermanent && devices.has(one.device) && one.linkAddress === one.address)
        .map(({ device, address }) => ({ device, endpoint: address })),
      neighbourId,
    ),
    routes: byId(
      routes.filter(({ routeTable }) => !theirs.has(routeTable)).map((route) => toRoute(route, devices)),
      routeId,
    ),
  };
}

export function isOurs(instance: string, { alias, group }: Link): boolean {
  return alias === undefined ? group === groupOf(instance) : instanceOf(alias) === instance;
}

/** Route tables of other instances' tenants. */
function tablesOfOthers(instance: string, links: readonly Link[]): number[] {
  return links.flatMap((link) => (link.vrf && isOthers(instance, link) ? [link.vrf.routeTable] : []));
}

/** Whether a device is of an instance, but not of this one. */
const isOthers = (instance: string, link: Link) =>
  !isOurs(instance, link) && (instanceOf(link.alias ?? "") !== undefined || (link.group & groupBit) !== 0);

/** Ids whose route tables are taken, mostly by tenants of other instances, which have conntrack's zones of these numbers, too. */
export const idsOfOthers = (instance: string, links: readonly Link[]): ReadonlySet<number> =>
  new Set(links.flatMap((link) => (link.vrf && !isOurs(instance, link) ? [link.vrf.routeTable - routeTableBase] : [])));

/** One that is down, half-made or in another group differs in a field, and so is set right again. */
function toDevice(instance: string, { name, isUp, alias, group, kind, vrf, tunnel, master, mtu }: Link): Device {
  const owner = isUp && group === groupOf(instance) ? (alias ?? "") : "";
  if (kind === "vrf") return { kind, routeTable: vrf?.routeTable ?? 0, owner };
  if (kind !== "gretap" && kind !== "gre")
    throw new ForeignError(`device ${name} bears xgw's alias ${alias} but is of type ${kind ?? "unknown"}`, {
      remedy: `rename it, or clear its alias: ip link set dev ${name} alias ""`,
    });
  const { local = "", inputKey, outputKey } = tunnel ?? {};
  const key = inputKey === outputKey ? (inputKey ?? -1) : -1;
  return { kind, key, local, vrf: master ?? "", mtu, owner };
}

/** RTN_UNREACHABLE (linux/rtnetlink.h). */
const unreachable = 7;

function toRoute(route: KernelRoute, ours: ReadonlyMap<string, Device>): Route {
  const { routeTable, family, device = "", gateway, encap } = route;
  const to = route.to.length === 0 ? "default" : formatPrefix(route.to);
  if (route.type === unreachable || family)
    return {
      routeTable,
      ...(family ? { family } : {}),
      to,
      ...(route.metric ? { metric: route.metric } : {}),
    };
  if (!encap && gateway !== undefined && routeTable >= routeTableBase && device !== "" && !ours.has(device))
    return { routeTable, to, uplink: { device, via: gateway } };
  return { routeTable, to, tunnel: { device, via: encap?.remote ?? gateway ?? "", key: encap?.id ?? null } };
}

/** @param ofIpv6 the table of that family, where there has to be one */
function toNft(
  instance: string,
  table: NftTable | undefined,
  ofIpv6: readonly (NftTable | undefined)[],
): Pick<State, "rules" | "flowtableDevices" | "elements"> {
  if (!table) return { rules: "", flowtableDevices: new Map(), elements: new Map() };
  const version = versionOf(table.chains.keys());
  if (version === undefined)
    throw new ForeignError(`the nft table ip ${tableName(instance)} was not made by xgw`, {
      remedy: `choose another instance name, or remove it: nft delete table ip ${tableName(instance)}`,
    });
  const elements: Element[] = [];
  const jumps = new Map<string, Map<string, string>>();
  let hasForeign = false;
  for (const [name, inSet] of [...table.sets, ...ofIpv6.flatMap((one) => [...(one?.sets ?? [])])]) {
    const set = setOfMap(name);
    hasForeign ||= inSet.some(({ key }) => key === unknown);
    if (isElementSet(set)) for (const { key, value } of inSet) elements.push({ set, key, value });
    else jumps.set(name, new Map(inSet.map(({ key, value }) => [key, value])));
  }
  const whole = new Set(
    [...new Set(table.flowtableDevices.values())].filter((flowtable) =>
      isShareWhole(
        shareOfFlowtable(flowtable),
        (map, zone) => jumps.get(map)?.get(zone),
        (chain) => table.chains.get(chain),
      ),
    ),
  );
  const isOfIpv6Whole = ofIpv6.every(
    (one) => one && versionOf(one.chains.keys()) === version && !one.isDormant && areRulesWhole("ip6", one.chains),
  );
  const isWhole = !hasForeign && isOfIpv6Whole && !table.isDormant && areRulesWhole("ip", table.chains);
  return {
    rules: version === rulesVersion && !isWhole ? damagedRules : version,
    // What is not led to it is not in it.
    flowtableDevices: new Map([...table.flowtableDevices].filter(([, flowtable]) => whole.has(flowtable))),
    elements: byId(elements, elementId),
  };
}

/** Of the sets that are compared; the others may be large. */
const typesOfCompared = (name: string) =>
  isElementSet(setOfMap(name)) || isVerdictMap(name) ? typesOfSet(name) : undefined;

/** The names and tables that the desired state needs must be free or ours. */
export function checkForeignDevices(desired: Desired, links: readonly Link[]): void {
  const ours = new Set(desired.tenants.flatMap((tenant) => [tenant.vrf, tenant.tunnel]));
  const tables = new Map(desired.tenants.map((tenant) => [tenant.routeTable, tenant.name]));
  for (const link of links) {
    if (isOurs(desired.instance, link)) continue;
    const other = instanceOf(link.alias ?? "");
    const owner = other === undefined ? "somebody else" : `xgw instance ${other}`;
    if (ours.has(link.name))
      throw new ForeignError(`device ${link.name} (ifindex ${link.ifindex}) exists and belongs to ${owner}`, {
        remedy: `remove or rename it, or give the tenant another key: ip link del dev ${link.name}`,
      });
    const table = link.vrf?.routeTable;
    if (table !== undefined && tables.has(table))
      throw new ForeignError(
        `VRF ${link.name} of ${owner} uses route table ${table}, which tenant ${tables.get(table)} needs`,
        {
          remedy:
            other === undefined
              ? `move it to a route table outside ${routeTableBase} to ${routeTableBase + desired.maxTenants}`
              : `both tenants have one id: run \`xgw teardown --instance ${other}\`, then apply both again`,
        },
      );
  }
}

/** The settings that the desired state names, as they are now; those that do not exist yet are left out. */
export function observeSysctls(names: Iterable<string>): Map<string, string> {
  const values = new Map<string, string>();
  for (const name of names) {
    const value = hasSysctl(name) ? readSysctl(name) : undefined;
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** GRE key -> tenant id, from the devices: a tenant's id is what its route table says. */
export function idsInUse(devices: ReadonlyMap<string, Device>): Map<number, number> {
  const ids = new Map<number, number>();
  for (const device of devices.values()) {
    if (device.kind === "vrf") continue;
    const vrf = devices.get(device.vrf);
    if (vrf?.kind === "vrf") ids.set(device.key, vrf.routeTable - routeTableBase);
  }
  return ids;
}
