/** What the kernel says by itself of an instance: for who has no config that can be read. */

import { kernelNames, presentEntries } from "../datapath/entries.js";
import { Pins } from "../datapath/pins.js";
import { type Link, readLinks } from "../kernel/rtnetlink.js";
import { nobody, routeTableBase } from "../model/desired.js";
import { type Limits, noLimits } from "../model/shares.js";
import { instanceOf, ownerOf } from "../plan/owner.js";

export interface RecordedTenant {
  readonly name: string;
  readonly key: number;
  readonly id: number;
  readonly vrf: string;
  readonly tunnel: string;
  readonly limits: Limits;
}

export interface Recorded {
  readonly instance: string;
  /** Those whose devices are there. */
  readonly tenants: readonly RecordedTenant[];
  readonly shares: Limits;
}

/** Those that have tenants' devices in this network namespace. */
export function recordedInstances(links: readonly Link[] = readLinks()): string[] {
  return [...new Set(links.flatMap(({ alias }) => instanceOf(alias ?? "") ?? []))];
}

export function readRecorded(instance: string): Recorded {
  const found = tenantsOf(instance, readLinks());
  const asked = [nobody, ...found.map(({ id }) => id)].map((tenant) => ({
    map: "limits" as const,
    tenant,
    value: noLimits,
  }));
  const pins = new Pins(instance);
  const limits = new Map<number, Limits>();
  if (pins.hasMap("limits"))
    for (const entry of presentEntries(pins, asked, kernelNames).values())
      if (entry.map === "limits") limits.set(entry.tenant, entry.value);
  const tenants = found.map((tenant) => ({ ...tenant, limits: limits.get(tenant.id) ?? noLimits }));
  return { instance, tenants, shares: limits.get(nobody) ?? noLimits };
}

/** By their tunnels' aliases; a tenant's id is what its VRF's route table says. */
export function tenantsOf(instance: string, links: readonly Link[]): Omit<RecordedTenant, "limits">[] {
  const prefix = ownerOf(instance, "");
  const tables = new Map(links.flatMap(({ name, vrf }) => (vrf ? [[name, vrf.routeTable] as const] : [])));
  return links
    .flatMap(({ name: tunnel, alias, master: vrf = "", tunnel: ends }) => {
      const table = tables.get(vrf);
      if (!alias?.startsWith(prefix) || ends?.inputKey === undefined || table === undefined) return [];
      return [{ name: alias.slice(prefix.length), key: ends.inputKey, id: table - routeTableBase, vrf, tunnel }];
    })
    .sort((a, b) => a.id - b.id);
}
