/** What the kernel has of a few tenants, found with hardly a look at the others. */

import { observeAttachments } from "../datapath/attachments.js";
import { kernelNames, presentEntries } from "../datapath/entries.js";
import { unsettledTenants } from "../datapath/generations.js";
import type { Pins } from "../datapath/pins.js";
import { type NftElement, readElementsOf, readFlowtable, readSet, unknown } from "../kernel/nftables.js";
import { readRuleOrders } from "../kernel/routing-rules.js";
import { readAddresses, readLinksOf, readNeighbours, readRoutes } from "../kernel/rtnetlink.js";
import { type DesiredTenant, nobody } from "../model/desired.js";
import { routeProtocol } from "../plan/owner.js";
import { tunnelPins } from "../plan/render.js";
import { familyOfSet, type SetTypes, tableName, typesOfSet } from "../plan/rules.js";
import { flowtableOf, intervalSets, mapOf } from "../plan/shares.js";
import {
  byId,
  type Element,
  type ElementKeys,
  type Entry,
  elementId,
  type State,
  tenantIds,
  tenantOfElement,
} from "../plan/state.js";
import { isOurs, observeSysctls, toRouting } from "./slow-path.js";

/** Entries by which the programs know devices: those of a tenant whose devices are made anew. */
export const namesDevice = ({ map }: Entry): boolean => map === "tenants" || map === "tunnels" || map === "public_ips";

/**
 * Devices, addresses, neighbours and routes of the tenants; of the nft table their devices in flowtables, and what of theirs
 * is in the sets of `changed`; of the maps what names devices; the programs on their devices and on NICs. The rest is not
 * looked at, and taken to be as it is wanted.
 *
 * @param changed keys of elements, by set
 * @param wanted of these tenants
 * @returns undefined when there is something that only a look at everything can judge
 */
export function observeTenants(
  pins: Pins,
  tenants: readonly DesiredTenant[],
  changed: ElementKeys,
  wanted: State,
): State | undefined {
  const links = readLinksOf(tenants.flatMap(({ vrf, tunnel }) => [vrf, tunnel]));
  if (links.some((link) => !isOurs(pins.instance, link))) return undefined;
  const ids = tenants.map(({ id }) => id);
  // A change that did not come to its end may have left anything, of maps that are not looked at, too.
  if (pins.nextMaps().length > 0 || unsettledTenants(pins, ids).size > 0) return undefined;
  const table = tableName(pins.instance);
  const elements = observeElements(table, new Set(ids), changed, wanted);
  if (!elements) return undefined;
  const names = { get: kernelNames.nameOf };
  const routing = toRouting(pins.instance, {
    links,
    addresses: links.flatMap(({ ifindex }) => readAddresses(names, ifindex)),
    neighbours: links.flatMap(({ ifindex }) => readNeighbours(names, ifindex)),
    routes: tenants.flatMap(({ routeTable }) => readRoutes(names, routeProtocol, routeTable)),
  });
  return {
    ...wanted,
    ...routing,
    sysctls: observeSysctls(wanted.sysctls.keys()),
    ruleOrder: readRuleOrders(),
    flowtableDevices: observeFlowtables(table, tenants),
    elements,
    keepsConnections: new Set(),
    entries: observeDeviceEntries(pins, wanted),
    attachments: observeAttachments(pins, kernelNames, [
      // Also of tunnels of a kind that has none.
      ...new Set([...wanted.attachments.keys(), ...tenants.flatMap(({ tunnel }) => tunnelPins(tunnel))]),
    ]),
  };
}

/** More are read faster with all the others. */
const lookUpsMax = 1000;

/**
 * Of a set the keys that the tenants should have there and those that were changed are looked up. What may have ranges in
 * its keys is read whole, as far as it is the tenants' shares'.
 *
 * @returns undefined when a set is not there, or has what cannot be read
 */
function observeElements(
  table: string,
  tenants: ReadonlySet<number>,
  changed: ElementKeys,
  wanted: State,
): ReadonlyMap<string, Element> | undefined {
  const elements = [...wanted.elements.values()];
  const found = elements.filter(({ set }) => !changed.has(set));
  for (const [set, keys] of changed) {
    const wantedKeys = elements.filter((element) => element.set === set).map(({ key }) => key);
    const looked = new Set([...wantedKeys, ...keys]);
    const inSet =
      looked.size > lookUpsMax || intervalSets.includes(set)
        ? readShares(table, set, tenants)
        : readElementsOf(table, set, typesOf(set), looked, familyOfSet(set));
    if (!inSet || inSet.some(({ key }) => key === unknown)) return undefined;
    const all = inSet.map(({ key, value }): Element => ({ set, key, value }));
    // Those of nobody are wanted whichever tenants are looked at.
    const isLookedAt = (tenant: number) => tenant === nobody || tenants.has(tenant);
    found.push(...all.filter((element) => isLookedAt(tenantOfElement(element))));
  }
  return byId(found, elementId);
}

/** What the tenants' shares have of a set; undefined when one of them is not there. */
function readShares(table: string, set: string, tenants: Iterable<number>): NftElement[] | undefined {
  const maps = new Set(Array.from(tenants, (id) => mapOf(set, String(id))));
  const inMaps = Array.from(maps, (map) => readSet(table, map, typesOf(set)));
  return inMaps.includes(undefined) ? undefined : inMaps.flatMap((inMap) => inMap ?? []);
}

const typesOf = (set: string) => typesOfSet(set) as SetTypes;

function observeFlowtables(table: string, tenants: readonly DesiredTenant[]): Map<string, string> {
  const devices = new Map<string, ReadonlySet<string>>();
  for (const name of new Set(tenants.map(({ id }) => flowtableOf(id))))
    devices.set(name, new Set(readFlowtable(table, name)));
  return new Map(
    tenants
      .map(({ id, tunnel }) => [tunnel, flowtableOf(id)] as const)
      .filter(([tunnel, flowtable]) => devices.get(flowtable)?.has(tunnel)),
  );
}

/** Also of devices that have gone, and that the tenant's entry still names. */
function observeDeviceEntries(pins: Pins, wanted: State): Map<string, Entry> {
  const found = presentEntries(pins, wanted.entries.values(), kernelNames);
  const named = [...found.values()].flatMap((entry): Entry[] =>
    entry.map === "tenants"
      ? [entry.value.tunnel, entry.value.vrf].map((device) => ({ map: "tunnels", device, tenant: entry.value.id }))
      : [],
  );
  const ids = new Set(tenantIds(wanted.entries.values()));
  for (const [id, entry] of presentEntries(pins, named, kernelNames))
    if (entry.map === "tunnels" && ids.has(entry.tenant)) found.set(id, entry);
  return found;
}
