/** What instances have loaded, with the names that the kernel has of their devices and tenants. */

import { type Inventory, readInventory } from "../datapath/inspect/inventory.js";
import type { Names } from "../datapath/inspect/kinds.js";
import type { Device } from "../datapath/inspect/shown.js";
import { type Link, readLinks } from "../kernel/rtnetlink.js";
import { nameOfIndex } from "../plan/state.js";
import { tenantsOf } from "./recorded.js";

export interface Inspection {
  readonly inventory: Inventory;
  /** Of this network namespace, by ifindex. */
  readonly devices: ReadonlyMap<number, Device>;
  /** Tenants' ids are an instance's own. */
  namesOf(instance: string): Names;
}

export function inspect(instances: readonly string[]): Inspection {
  const links = readLinks();
  const indexes = new Map(links.map(({ name, ifindex }) => [name, ifindex]));
  const devices = new Map<number, Device>(links.map(({ ifindex, name }) => [ifindex, { name }]));
  const names = new Map<string, Names>();
  for (const instance of instances) {
    const tenants = tenantsOf(instance, links);
    for (const { name, vrf, tunnel } of tenants)
      for (const device of [vrf, tunnel]) devices.set(indexes.get(device) ?? 0, { name: device, tenant: name });
    names.set(instance, namesIn(links, tenants));
  }
  return {
    inventory: readInventory(instances),
    devices,
    namesOf: (instance) => names.get(instance) ?? namesIn(links, []),
  };
}

function namesIn(links: readonly Link[], tenants: readonly { readonly id: number; readonly name: string }[]): Names {
  const byId = new Map(tenants.map(({ id, name }) => [id, name]));
  const ids = new Map(tenants.map(({ id, name }) => [name, id]));
  const byIndex = new Map(links.map(({ ifindex, name }) => [ifindex, name]));
  const indexes = new Map(links.map(({ ifindex, name }) => [name, ifindex]));
  return {
    tenant: (id) => byId.get(id) ?? `#${id}`,
    device: (ifindex) => byIndex.get(ifindex) ?? nameOfIndex(ifindex),
    tenantId: (name) => ids.get(name),
    deviceIndex: (name) => indexes.get(name),
  };
}
