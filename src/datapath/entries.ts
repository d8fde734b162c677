/** The entries of the maps that the daemon writes. */

import { BpfMap } from "libbpf-ts";
import type { IpLink } from "../kernel/ip.js";
import { type Entry, entryId } from "../plan/state.js";
import { type DeviceNames, decodeEntry, encodeEntry } from "./layout.js";
import type { Pins } from "./pins.js";

const entryMaps: readonly Entry["map"][] = ["tenants", "peers", "endpoints", "tunnels", "public_ips", "nics"];

export function deviceNames(links: readonly IpLink[]): DeviceNames {
  const byName = new Map(links.map((link) => [link.ifname, link.ifindex]));
  const byIndex = new Map(links.map((link) => [link.ifindex, link.ifname]));
  return {
    indexOf: (name) => (name.startsWith("#") ? Number(name.slice(1)) : (byName.get(name) ?? 0)),
    nameOf: (ifindex) => byIndex.get(ifindex) ?? `#${ifindex}`,
  };
}

export function observeEntries(pins: Pins, names: DeviceNames): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const name of entryMaps) {
    if (!pins.hasMap(name)) continue;
    using map = BpfMap.openPinned(pins.map(name));
    for (const [key, value] of map.entries()) {
      const entry = decodeEntry(name, { key, value }, names);
      entries.set(entryId(entry), entry);
    }
  }
  return entries;
}

export function setEntries(pins: Pins, entries: readonly Entry[], names: DeviceNames): void {
  forEachMap(pins, entries, (map, entry) => {
    const { key, value } = encodeEntry(entry, names);
    map.set(key, value);
  });
}

export function deleteEntries(pins: Pins, entries: readonly Entry[], names: DeviceNames): void {
  forEachMap(pins, entries, (map, entry) => map.delete(encodeEntry(entry, names).key));
}

function forEachMap(pins: Pins, entries: readonly Entry[], act: (map: BpfMap, entry: Entry) => void): void {
  for (const name of entryMaps) {
    const mine = entries.filter((entry) => entry.map === name);
    if (mine.length === 0) continue;
    using map = BpfMap.openPinned(pins.map(name));
    for (const entry of mine) act(map, entry);
  }
}
