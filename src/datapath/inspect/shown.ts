/** bpftool's JSON of what is loaded, with a key `xgw` for what is an instance's. */

import { showLinks, showMaps, showNet, showPrograms } from "libbpf-ts";
import type { Inventory, Owned, OwnedLink } from "./inventory.js";
import { mapMeanings, programPurposes } from "./meanings.js";

export type Shown = Readonly<Record<string, unknown>> & { readonly xgw?: Readonly<Record<string, unknown>> };

/** What the network namespace says of a device. */
export interface Device {
  readonly name: string;
  readonly tenant?: string;
}

export type Devices = ReadonlyMap<number, Device>;

export interface ShownOptions {
  /** Also what is not xgw's. */
  readonly isAll: boolean;
  /** bpftool's `pinned`. */
  readonly pinned: boolean;
}

const purposeOf = (name: string): string | undefined => (programPurposes as Record<string, string>)[name];
const meaningOf = (name: string) => (mapMeanings as Partial<Record<string, (typeof mapMeanings)["flows"]>>)[name];

/** The list that is asked for, each with what the inventory has of it. */
function withOwned<T extends Owned>(
  all: readonly Readonly<Record<string, unknown>>[],
  owned: ReadonlyMap<number, T>,
  isAll: boolean,
  tell: (known: T, shown: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Shown[] {
  return all.flatMap((one): Shown[] => {
    const known = owned.get(Number(one.id));
    if (known) return [{ ...one, xgw: tell(known, one) }];
    return isAll ? [one] : [];
  });
}

export function shownPrograms(inventory: Inventory, devices: Devices, { isAll, pinned }: ShownOptions): Shown[] {
  const attached = byProgram(inventory.links.values());
  return withOwned(showPrograms({ pinned }), inventory.programs, isAll, (known, { id, run_time_ns, run_cnt }) => {
    const { instance, name, fingerprint, pin } = known;
    const links = attached.get(Number(id)) ?? [];
    return {
      instance,
      program: name,
      ...defined({ fingerprint, pin, purpose: purposeOf(name) }),
      attached: links.map((link) => ({ attachment: link.name, ...placeOf(link, devices) })),
      ...(Number(run_cnt) > 0 ? { ns_per_run: Math.round((10 * Number(run_time_ns)) / Number(run_cnt)) / 10 } : {}),
    };
  });
}

function byProgram(links: Iterable<OwnedLink>): Map<number, OwnedLink[]> {
  const groups = new Map<number, OwnedLink[]>();
  for (const link of links) {
    const group = groups.get(link.progId);
    if (group) group.push(link);
    else groups.set(link.progId, [link]);
  }
  return groups;
}

export function shownMaps(inventory: Inventory, { isAll, pinned }: ShownOptions): Shown[] {
  return withOwned(showMaps({ pinned }), inventory.maps, isAll, ({ instance, name, pin }) => ({
    instance,
    map: name,
    ...defined({ pin, ...meaningOf(name) }),
  }));
}

export function shownLinks(inventory: Inventory, devices: Devices, { isAll, pinned }: ShownOptions): Shown[] {
  return withOwned(showLinks({ pinned }), inventory.links, isAll, (link) => ({
    instance: link.instance,
    attachment: link.name,
    ...defined({ pin: link.pin, program: inventory.programs.get(link.progId)?.name }),
    ...placeOf(link, devices),
  }));
}

/** Device and tenant of a link; nothing of those on no device. */
function placeOf({ ifindex }: OwnedLink, devices: Devices) {
  const { name: device, tenant } = devices.get(ifindex) ?? {};
  return defined({ device, tenant });
}

/** Under bpftool's keys: `xdp`, `tc`, `flow_dissector` and `netfilter`. */
export interface ShownNet {
  readonly xdp: Shown[];
  readonly tc: Shown[];
  readonly flow_dissector: Shown[];
  readonly netfilter: Shown[];
}

/** What hangs on the devices of this network namespace, and on netfilter. */
export function shownNet(inventory: Inventory, devices: Devices, isAll: boolean): ShownNet {
  const pinsOf = new Map<string, OwnedLink>();
  for (const link of inventory.links.values()) pinsOf.set(`${link.progId} ${link.ifindex}`, link);
  const known = (all: readonly Readonly<Record<string, unknown>>[]): Shown[] =>
    all.flatMap((one): Shown[] => {
      const program = programIds(one)
        .map((id) => [id, inventory.programs.get(id)] as const)
        .find(([, found]) => found);
      if (!program?.[1]) return isAll ? [one] : [];
      const [id, { instance, name }] = program as readonly [number, Owned];
      const ifindex = Number(one.ifindex ?? 0);
      const byLink = inventory.links.get(Number(one.link_id ?? -1));
      const attachment = (byLink ?? pinsOf.get(`${id} ${ifindex}`))?.name;
      const { tenant } = devices.get(ifindex) ?? {};
      return [{ ...one, xgw: { instance, program: name, ...defined({ attachment, tenant }) } }];
    });
  const { xdp, tc, flow_dissector, netfilter } = showNet();
  return { xdp: known(xdp), tc: known(tc), flow_dissector: known(flow_dissector), netfilter: known(netfilter) };
}

/** XDP may have several on a device. */
function programIds({ id, prog_id, multi_attachments }: Readonly<Record<string, unknown>>): number[] {
  const several = (multi_attachments ?? []) as readonly { readonly id: number }[];
  return [id ?? prog_id, ...several.map((one) => one.id)].filter((one) => one !== undefined).map(Number);
}

function defined(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
