/** Which programs, maps and links of the kernel are an instance's: by its pins, and by what its pinned links and programs hold. */

import { readdirSync } from "node:fs";
import { BpfError, BpfLink, BpfMap, BpfProgram } from "libbpf-ts";
import { bpffs, checkBpffs, Pins } from "../pins.js";

/** What only xgw knows of one. */
export interface Owned {
  readonly instance: string;
  /** A map's whole name, of which the kernel keeps 15 bytes, a program's, or that of a link's pin. */
  readonly name: string;
  /** Missing where somebody has taken it away, and for variables of programs. */
  readonly pin?: string;
  /** Of a program. */
  readonly fingerprint?: string;
}

export interface OwnedLink extends Owned {
  readonly progId: number;
  /** 0 when it is on no device. */
  readonly ifindex: number;
}

/** By id. */
export interface Inventory {
  readonly programs: ReadonlyMap<number, Owned>;
  readonly maps: ReadonlyMap<number, Owned>;
  readonly links: ReadonlyMap<number, OwnedLink>;
}

/** Instances that have pins, sorted. @throws KernelError when there is no bpffs */
export function pinnedInstances(): string[] {
  checkBpffs();
  try {
    return readdirSync(`${bpffs}/xgw`).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

export function readInventory(instances: readonly string[]): Inventory {
  const programs = new Map<number, Owned>();
  const maps = new Map<number, Owned>();
  const links = new Map<number, OwnedLink>();
  for (const pins of instances.map((instance) => new Pins(instance))) {
    addPrograms(pins, programs);
    addLinks(pins, links);
    for (const { progId } of links.values()) if (!programs.has(progId)) addUnpinned(pins, progId, programs);
    addMaps(pins, maps);
  }
  for (const [id, { instance }] of programs) addMapsOf(instance, id, maps);
  return { programs, maps, links };
}

function addPrograms(pins: Pins, programs: Map<number, Owned>): void {
  for (const fingerprint of pins.fingerprints())
    for (const name of pins.programs(fingerprint)) {
      const pin = pins.program(fingerprint, name);
      ifThere(() => {
        using program = BpfProgram.openPinned(pin);
        programs.set(program.id, { instance: pins.instance, name, fingerprint, pin });
      });
    }
}

function addLinks(pins: Pins, links: Map<number, OwnedLink>): void {
  for (const name of pins.links())
    ifThere(() => {
      using link = BpfLink.openPinned(pins.link(name));
      const { id, progId, ifindex = 0 } = link.info;
      links.set(id, { instance: pins.instance, name, pin: pins.link(name), progId, ifindex });
    });
}

/** What a link of ours runs, and whose own pin has gone. */
function addUnpinned(pins: Pins, progId: number, programs: Map<number, Owned>): void {
  ifThere(() => {
    using program = BpfProgram.openById(progId);
    programs.set(progId, { instance: pins.instance, name: program.info.name });
  });
}

function addMaps(pins: Pins, maps: Map<number, Owned>): void {
  const places = [
    ...pins.maps().map((name) => [name, pins.oldMap(name)] as const),
    ...pins.nextMaps().map((name) => [name, pins.nextMap(name)] as const),
  ];
  for (const [name, pin] of places)
    ifThere(() => {
      using map = BpfMap.openPinned(pin);
      maps.set(map.info.id, { instance: pins.instance, name, pin });
    });
}

/** Without pins: programs' variables, and maps whose pins have gone. */
function addMapsOf(instance: string, progId: number, maps: Map<number, Owned>): void {
  ifThere(() => {
    using program = BpfProgram.openById(progId);
    for (const id of program.info.mapIds)
      if (!maps.has(id))
        ifThere(() => {
          using map = BpfMap.openById(id);
          maps.set(id, { instance, name: map.name });
        });
  });
}

/** Whatever is listed may be gone a moment later. */
function ifThere(look: () => void): void {
  try {
    look();
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== "ENOENT") throw error;
  }
}
