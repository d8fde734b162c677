/** Programs in the kernel that are ours, and the maps that they hold, by pins and by links. */

import { BpfError, BpfLink, BpfMap, BpfProgram } from "libbpf-ts";
import { crashPoint } from "../crash.js";
import { isTunnelPin } from "../plan/render.js";
import { baseProgramNames, type ProgramName } from "../plan/state.js";
import type { Pins } from "./pins.js";

/** All maps of the data path; a test compares them with the objects. */
export const mapNames = [
  "bond_members",
  "buckets",
  "conntrack",
  "denials",
  "destinations",
  "encap_returned",
  "encap_usage",
  "encaps",
  "encaps_taken",
  "endpoints",
  "event_usage",
  "events",
  "flow_locks",
  "flow_usage",
  "flows",
  "fragment_levels",
  "generations",
  "limits",
  "listeners",
  "losses",
  "neighbour_counts",
  "neighbour_macs",
  "neighbours",
  "nic_buckets",
  "nic_macs",
  "nics",
  "peers",
  "policy_networks",
  "policy_services",
  "public_ips",
  "reason_stats",
  "refusals",
  "rule_returned",
  "rule_stats",
  "rule_usage",
  "rules",
  "session_base",
  "session_events",
  "sessions_settled",
  "settings",
  "stale_neighbours",
  "tenants",
  "told",
  "tunnels",
  "unsent",
] as const;

export interface AttachedProgram {
  /** Name of the link's pin. */
  readonly attachment: string;
  readonly mapIds: readonly number[];
}

/** By the pinned links of NICs: a program may have lost its own pin. */
export function attachedPrograms(pins: Pins): AttachedProgram[] {
  return pins
    .links()
    .filter((name) => !isTunnelPin(name))
    .flatMap((attachment) => {
      try {
        using link = BpfLink.openPinned(pins.link(attachment));
        using program = BpfProgram.openById(link.info.progId);
        return [{ attachment, mapIds: program.info.mapIds }];
      } catch (error) {
        if (error instanceof BpfError && error.code === "ENOENT") return [];
        throw error;
      }
    });
}

export function mapIdsOf(pins: Pins, fingerprint: string): Set<number> {
  return new Set(
    pins.programs(fingerprint).flatMap((name) => {
      using program = BpfProgram.openPinned(pins.program(fingerprint, name));
      return program.info.mapIds;
    }),
  );
}

/** The kernel keeps this much of a map's name (BPF_OBJ_NAME_LEN - 1). */
const mapNameLength = 15;

/** Whether a data path has all its programs, and maps for them. */
export function isWhole(pins: Pins, fingerprint: string, programs: readonly ProgramName[] = baseProgramNames): boolean {
  const pinned = new Set(pins.programs(fingerprint));
  if (!programs.every((name) => pinned.has(name))) return false;
  const unpinned = unpinnedMaps(pins);
  const maps = pinnedMaps(pins);
  return mapNames.every((name) => maps.has(name) || unpinned.has(name));
}

const pinnedMaps = (pins: Pins) => new Set([...pins.maps(), ...pins.nextMaps()]);

/**
 * Maps that programs of ours use and that have no pin, by name: somebody has taken it away.
 *
 * @returns name to id
 */
export function unpinnedMaps(pins: Pins, names: readonly string[] = mapNames): Map<string, number> {
  const pinned = pinnedMaps(pins);
  const missing = names.filter((name) => !pinned.has(name));
  const found = new Map<string, number>();
  if (missing.length === 0) return found;
  const ids = new Set(attachedPrograms(pins).flatMap(({ mapIds }) => mapIds));
  for (const fingerprint of pins.fingerprints()) for (const id of mapIdsOf(pins, fingerprint)) ids.add(id);
  for (const id of ids) {
    using map = BpfMap.openById(id);
    const name = missing.find((candidate) => candidate.slice(0, mapNameLength) === map.name);
    if (name !== undefined) found.set(name, id);
  }
  return found;
}

/** Gives the maps their pins again, with all that is in them. */
export function pinAgain(pins: Pins, names: readonly string[]): void {
  for (const [name, id] of unpinnedMaps(pins, names)) {
    using map = BpfMap.openById(id);
    map.pin(pins.oldMap(name));
    crashPoint(`map ${name} pinned again`);
  }
}
