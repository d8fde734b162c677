/** What the kernel has of the slow path, in the form in which it is compared. Only what is ours is reported. */

import { ForeignError } from "../errors.js";
import { type IpLink, type IpRoute, readIpState, readLinks } from "../kernel/ip.js";
import { formatValue, type NftTable, type NftValue, readTable } from "../kernel/nft.js";
import { routeProtocol } from "../kernel/slow-path.js";
import { readSysctl } from "../kernel/sysctl.js";
import type { Desired } from "../model/desired.js";
import { routeTableBase } from "../model/desired.js";
import { parseAddress } from "../model/ipv4.js";
import { groupOf, instanceOf } from "../plan/owner.js";
import { areRulesWhole, damagedRules, elementSets, rulesVersion, tableName, versionOf } from "../plan/rules.js";
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
  "devices" | "addresses" | "neighbours" | "routes" | "vrfRule" | "rules" | "flowtableDevices" | "elements"
>;

export interface ObservedSlowPath {
  readonly state: SlowPathState;
  readonly links: readonly IpLink[];
}

/** @throws ForeignError when something of another owner has a name or table that xgw needs */
export async function observeSlowPath(instance: string): Promise<ObservedSlowPath> {
  const [links, ip, table] = await Promise.all([readLinks(), readIpState(), readTable(tableName(instance))]);
  const devices = new Map(
    links.filter((link) => isOurs(instance, link)).map((link): [string, Device] => [link.ifname, toDevice(link)]),
  );
  const addresses: Address[] = ip.addresses
    .filter(({ ifname }) => devices.has(ifname))
    .flatMap(({ ifname, addr_info }) =>
      addr_info.map(({ local, prefixlen }) => ({ device: ifname, address: `${local}/${prefixlen}` })),
    );
  const state: SlowPathState = {
    devices,
    addresses: byId(addresses, addressId),
    neighbours: byId(
      ip.permanentNeighbours
        .filter(({ dst, dev, lladdr }) => devices.has(dev) && lladdr === dst)
        .map(({ dst, dev }) => ({ device: dev, endpoint: dst })),
      neighbourId,
    ),
    routes: byId(
      ip.routes.filter((route) => route.protocol === String(routeProtocol)).map((route) => toRoute(route, devices)),
      routeId,
    ),
    // The kernel adds it with the first VRF, and only then.
    vrfRule: ip.rules.some(({ l3mdev }) => l3mdev !== undefined),
    ...toNft(instance, table),
  };
  return { state, links };
}

function isOurs(instance: string, { ifalias, group }: IpLink): boolean {
  return ifalias === undefined ? group === String(groupOf(instance)) : instanceOf(ifalias) === instance;
}

/** A down or half-made device differs in a field, and so is set right again. */
function toDevice(link: IpLink): Device {
  const kind = link.linkinfo?.info_kind;
  const data = link.linkinfo?.info_data ?? {};
  const up = link.flags.includes("UP");
  const owner = up ? (link.ifalias ?? "") : "";
  if (kind === "vrf") return { kind, routeTable: data.table ?? 0, owner };
  if (kind !== "gretap" && kind !== "gre")
    throw new ForeignError(
      `device ${link.ifname} bears xgw's alias ${link.ifalias} but is of type ${kind ?? "unknown"}`,
      {
        remedy: `rename it, or clear its alias: ip link set dev ${link.ifname} alias ""`,
      },
    );
  return {
    kind,
    key: data.ikey !== undefined && data.ikey === data.okey ? (parseAddress(data.ikey) ?? -1) : -1,
    local: data.local ?? "any",
    vrf: link.master ?? "",
    mtu: link.mtu,
    owner,
  };
}

/** RTN_UNREACHABLE (linux/rtnetlink.h): routes are read in numbers. */
const unreachableType = "7";

function toRoute(route: IpRoute, ours: ReadonlyMap<string, Device>): Route {
  const routeTable = Number(route.table ?? 254);
  const to = route.dst.includes("/") || route.dst === "default" ? route.dst : `${route.dst}/32`;
  if (route.type === unreachableType) return { routeTable, to, ...(route.metric ? { metric: route.metric } : {}) };
  const isPlain = route.encap === undefined && route.gateway !== undefined;
  if (isPlain && routeTable >= routeTableBase && route.dev !== undefined && !ours.has(route.dev))
    return { routeTable, to, uplink: { device: route.dev, via: route.gateway as string } };
  return {
    routeTable,
    to,
    tunnel: { device: route.dev ?? "", via: route.encapDst ?? route.gateway ?? "", key: route.id ?? null },
  };
}

function toNft(instance: string, table: NftTable | undefined): Pick<State, "rules" | "flowtableDevices" | "elements"> {
  if (!table) return { rules: "", flowtableDevices: new Map(), elements: new Map() };
  const version = versionOf(table.chains.keys());
  if (version === undefined)
    throw new ForeignError(`the nft table ip ${tableName(instance)} was not made by xgw`, {
      remedy: `choose another instance name, or remove it: nft delete table ip ${tableName(instance)}`,
    });
  const elements: Element[] = [];
  const jumps = new Map<string, Map<string, string>>();
  for (const { name, elem = [] } of table.sets) {
    const set = setOfMap(name);
    const pairs = elem as readonly [NftValue, NftValue][];
    if (isElementSet(set)) for (const pair of pairs) elements.push(toElement(set, pair));
    else if (isVerdictMap(name))
      jumps.set(name, new Map(pairs.map(([key, to]) => [formatValue(key), formatValue(to)])));
  }
  const whole = new Set(
    [...new Set(table.flowtableDevices.values())].filter((flowtable) =>
      isShareWhole(shareOfFlowtable(flowtable), jumps, table.chains),
    ),
  );
  return {
    rules: version === rulesVersion && !areRulesWhole(table.chains) ? damagedRules : version,
    // What is not led to it is not in it.
    flowtableDevices: new Map([...table.flowtableDevices].filter(([, flowtable]) => whole.has(flowtable))),
    elements: byId(elements, elementId),
  };
}

const isElementSet = (name: string) => (elementSets as readonly string[]).includes(name);

function toElement(set: string, [key, value]: readonly [NftValue, NftValue]): Element {
  return { set, key: formatValue(key), value: formatValue(value) };
}

/** The names and tables that the desired state needs must be free or ours. */
export function checkForeignDevices(desired: Desired, links: readonly IpLink[]): void {
  const ours = new Set(desired.tenants.flatMap((tenant) => [tenant.vrf, tenant.tunnel]));
  const tables = new Map(desired.tenants.map((tenant) => [tenant.routeTable, tenant.name]));
  for (const link of links) {
    if (isOurs(desired.instance, link)) continue;
    const other = instanceOf(link.ifalias ?? "");
    const owner = other === undefined ? "somebody else" : `xgw instance ${other}`;
    if (ours.has(link.ifname))
      throw new ForeignError(`device ${link.ifname} (ifindex ${link.ifindex}) exists and belongs to ${owner}`, {
        remedy: `remove or rename it, or give the tenant another key: ip link del dev ${link.ifname}`,
      });
    const table = link.linkinfo?.info_kind === "vrf" ? link.linkinfo.info_data?.table : undefined;
    if (table !== undefined && tables.has(table))
      throw new ForeignError(
        `VRF ${link.ifname} of ${owner} uses route table ${table}, which tenant ${tables.get(table)} needs`,
        {
          remedy: `move it to a route table outside ${routeTableBase} to ${routeTableBase + desired.maxTenants}`,
        },
      );
  }
}

/** The settings that the desired state names, as they are now; those that do not exist yet are left out. */
export function observeSysctls(names: Iterable<string>): Map<string, string> {
  const values = new Map<string, string>();
  for (const name of names) {
    const value = readSysctl(name);
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
