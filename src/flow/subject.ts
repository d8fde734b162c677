/** Whose flows there are: what the kernel says, with the names of the config where its devices have none. */

import type { FlowView } from "../datapath/flow-view.js";
import { readLinks } from "../kernel/rtnetlink.js";
import { tenantsOf } from "../observe/recorded.js";
import type { Named } from "./list.js";

/** @param configured the config's tenants, if there is one that can be read */
export function namedTenants(
  view: Pick<FlowView, "pins" | "tenants">,
  configured: readonly { readonly name: string; readonly key: number }[] = [],
): Named[] {
  const aliases = new Map(tenantsOf(view.pins.instance, readLinks()).map(({ key, name }) => [key, name]));
  const names = new Map(configured.map(({ key, name }) => [key, name]));
  return [...view.tenants]
    .map(([id, { key }]) => ({ id, key, name: aliases.get(key) ?? names.get(key) ?? `key ${key}` }))
    .sort((a, b) => a.id - b.id);
}
