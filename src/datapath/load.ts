/** Gets this version's programs into the kernel, beside the maps in use, or beside new ones where theirs have another shape. */

import { BpfError, BpfMap, type BpfObject } from "libbpf-ts";
import { crashPoint } from "../crash.js";
import { KernelError } from "../errors.js";
import type { ProgramName } from "../plan/state.js";
import type { Constants } from "./constants.js";
import { objectsFor, openObject, pinnedMapNames } from "./objects.js";
import type { Pins } from "./pins.js";

/**
 * Loads the programs and pins them. Maps that are pinned already are kept, with all that is in them.
 *
 * @param moving maps that are pinned in another shape: these are made anew, in `next`, and empty
 * @throws KernelError when this kernel does not take the programs
 */
export function loadDatapath(
  pins: Pins,
  fingerprint: string,
  constants: Constants,
  moving: ReadonlySet<string> = new Set(),
): void {
  pins.removeDatapath(fingerprint); // what a run that died has left
  pins.prepare(fingerprint);
  if (moving.size > 0) pins.prepareNext();
  for (const { file, programs } of objectsFor(constants)) {
    using object = openObject(file, pins.instance, constants);
    loadObject(object, file, pins, moving);
    for (const name of programs) pinProgram(object, pins, fingerprint, name);
  }
}

function loadObject(object: BpfObject, file: string, pins: Pins, moving: ReadonlySet<string>): void {
  const pathOf = (name: string) => (moving.has(name) ? pins.nextMap(name) : pins.oldMap(name));
  const isPinned = (name: string) => (moving.has(name) ? pins.nextMaps() : pins.maps()).includes(name);
  const maps = pinnedMapNames(object);
  const made = maps.filter((name) => !isPinned(name));
  for (const name of maps) if (isPinned(name)) reuseMap(object, name, pathOf(name));
  try {
    object.load();
  } catch (error) {
    throw loadError(file, error);
  }
  for (const name of made) {
    object.map(name).pin(pathOf(name));
    crashPoint(`pin map ${name}`);
  }
}

export function reuseMap(object: BpfObject, name: string, path: string): void {
  using map = BpfMap.openPinned(path);
  object.reuseMap(name, map);
}

function pinProgram(object: BpfObject, pins: Pins, fingerprint: string, name: ProgramName): void {
  object.program(name).pin(pins.program(fingerprint, name));
  crashPoint(`pin program ${name}`);
}

function loadError(file: string, error: unknown): unknown {
  if (!(error instanceof BpfError) || error.code === "EPERM") return error;
  return new KernelError(`this kernel does not take ${file}: ${error.message}`, {
    cause: error,
    remedy: "xgw needs Linux 6.12 or later with BTF, and the nf_conntrack module loaded",
    details: { verifierLog: error.verifierLog },
  });
}
