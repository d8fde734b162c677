/** The entries of the maps that the daemon writes. */

import { BpfMap, interfaceIndex, interfaceName } from "libbpf-ts";
import { crashPoint } from "../crash.js";
import type { Link } from "../kernel/rtnetlink.js";
import { type Entry, entryId, nameOfIndex } from "../plan/state.js";
import { type DeviceNames, decodeEntry, encodeEntry } from "./layout.js";
import type { Pins } from "./pins.js";
import { unpinnedMaps } from "./programs.js";

/** In the order in which a packet may depend on them: written from the first on, deleted from the last on. */
const entryMaps: readonly Entry["map"][] = [
  "settings",
  "limits",
  "policy_services",
  "policy_networks",
  "destinations",
  "peers",
  "endpoints",
  "tunnels",
  "public_ips",
  "bond_members",
  "nics",
  "tenants",
];

/** An array has every key, and 0 where nothing is said. */
const isArray = (map: Entry["map"]) => map === "limits" || map === "settings";

const isThere = (map: Entry["map"], value: Buffer) => !isArray(map) || value.some((byte) => byte !== 0);

export function deviceNames(links: readonly Link[]): DeviceNames {
  const byName = new Map(links.map(({ name, ifindex }) => [name, ifindex]));
  const byIndex = new Map(links.map(({ name, ifindex }) => [ifindex, name]));
  return {
    indexOf: (name) => (name.startsWith("#") ? Number(name.slice(1)) : (byName.get(name) ?? 0)),
    nameOf: (ifindex) => byIndex.get(ifindex) ?? nameOfIndex(ifindex),
  };
}

/** Asks the kernel for each: for a few devices out of many. */
export const kernelNames: DeviceNames = {
  indexOf: (name) => (name.startsWith("#") ? Number(name.slice(1)) : indexOrZero(name)),
  nameOf: (ifindex) => interfaceName(ifindex) ?? nameOfIndex(ifindex),
};

function indexOrZero(name: string): number {
  try {
    return interfaceIndex(name);
  } catch {
    return 0; // as of any device that is not there
  }
}

/** Those of the entries that the maps do not have, or have otherwise. */
export function missingEntries(pins: Pins, entries: Iterable<Entry>, names: DeviceNames): Entry[] {
  const missing: Entry[] = [];
  forEachMap(entryMaps, pins, [...entries], (map, entry) => {
    const { key, value } = encodeEntry(entry, names);
    if (!map.get(key)?.equals(value)) missing.push(entry);
  });
  return missing;
}

/** Of these entries those that the maps have, as they have them. Of maps whose keys are no prefixes. */
export function presentEntries(pins: Pins, entries: Iterable<Entry>, names: DeviceNames): Map<string, Entry> {
  const present = new Map<string, Entry>();
  forEachMap(entryMaps, pins, [...entries], (map, entry) => {
    const { key } = encodeEntry(entry, names);
    const value = map.get(key);
    if (value && isThere(entry.map, value)) present.set(entryId(entry), decodeEntry(entry.map, { key, value }, names));
  });
  return present;
}

/** @param unreadable maps of another shape, which are left out: they are written anew */
export function observeEntries(
  pins: Pins,
  names: DeviceNames,
  unreadable: ReadonlySet<string> = new Set(),
): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const unpinned = unpinnedMaps(pins, entryMaps);
  for (const name of entryMaps) {
    const id = unpinned.get(name);
    if (unreadable.has(name) || (!pins.hasMap(name) && id === undefined)) continue;
    using map = id === undefined ? BpfMap.openPinned(pins.map(name)) : BpfMap.openById(id);
    for (const [key, value] of map.entries()) {
      if (!isThere(name, value)) continue;
      const entry = decodeEntry(name, { key, value }, names);
      entries.set(entryId(entry), entry);
    }
  }
  return entries;
}

export function setEntries(pins: Pins, entries: readonly Entry[], names: DeviceNames): void {
  forEachMap(entryMaps, pins, entries, (map, entry) => {
    const { key, value } = encodeEntry(entry, names);
    map.set(key, value);
    crashPoint(`entry ${entryId(entry)}`);
  });
}

export function deleteEntries(pins: Pins, entries: readonly Entry[], names: DeviceNames): void {
  forEachMap([...entryMaps].reverse(), pins, entries, (map, entry) => {
    const { key } = encodeEntry(entry, names);
    if (isArray(entry.map)) map.set(key, Buffer.alloc(map.valueSize));
    else map.delete(key);
    crashPoint(`entry ${entryId(entry)}`);
  });
}

function forEachMap(
  maps: readonly Entry["map"][],
  pins: Pins,
  entries: readonly Entry[],
  act: (map: BpfMap, entry: Entry) => void,
): void {
  for (const name of maps) {
    const mine = entries.filter((entry) => entry.map === name);
    if (mine.length === 0) continue;
    using map = BpfMap.openPinned(pins.map(name));
    for (const entry of mine) act(map, entry);
  }
}
