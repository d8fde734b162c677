/**
 * Where xgw keeps what must outlive it: `/sys/fs/bpf/xgw/<instance>/maps/<map>`, `progs/<fingerprint>/<program>` and
 * `links/<attachment>`. Only what is recorded there is ever removed.
 *
 * While flows move to maps of another shape, those are in `next/<map>`, beside the old ones. Once everything has moved,
 * they take the old ones' places.
 */

import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, statfsSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { crashPoint } from "../crash.js";
import { KernelError } from "../errors.js";
import { baseProgramNames } from "../plan/state.js";

export const bpffs = "/sys/fs/bpf";
/** BPF_FS_MAGIC, linux/magic.h */
const bpffsMagic = 0xcafe4a11;

export class Pins {
  readonly root: string;

  constructor(readonly instance: string) {
    this.root = join(bpffs, "xgw", instance);
  }

  /** Those in which pins of the instance lie, and the one that they are in. */
  get folders(): string[] {
    const programs = this.fingerprints().map((fingerprint) => join(this.root, "progs", fingerprint));
    return [this.root, ...["maps", "progs", "links"].map((name) => join(this.root, name)), ...programs];
  }

  /** The map that the newest programs use. */
  map(name: string): string {
    const next = this.nextMap(name);
    return existsSync(next) ? next : this.oldMap(name);
  }

  nextMap(name: string): string {
    return join(this.root, "next", name);
  }

  /** Where a map is pinned when nothing is moving. */
  oldMap(name: string): string {
    return join(this.root, "maps", name);
  }

  /** Both, while the map moves. */
  mapPaths(name: string): string[] {
    return [this.oldMap(name), this.nextMap(name)].filter((path) => existsSync(path));
  }

  /** Maps that are moving. */
  nextMaps(): string[] {
    return list(join(this.root, "next"));
  }

  maps(): string[] {
    return list(join(this.root, "maps"));
  }

  program(fingerprint: string, name: string): string {
    return join(this.root, "progs", fingerprint, name);
  }

  link(name: string): string {
    return join(this.root, "links", name);
  }

  hasMap(name: string): boolean {
    return existsSync(this.map(name));
  }

  /** Data paths of which any program is pinned. */
  fingerprints(): string[] {
    return list(join(this.root, "progs"));
  }

  /** Whether a data path has been loaded to its end: those that every one has are pinned last. */
  isComplete(fingerprint: string): boolean {
    const pinned = new Set(this.programs(fingerprint));
    return baseProgramNames.every((name) => pinned.has(name));
  }

  programs(fingerprint: string): string[] {
    return list(join(this.root, "progs", fingerprint));
  }

  links(): string[] {
    return list(join(this.root, "links"));
  }

  /** Makes the folders, those of one data path included. */
  prepare(fingerprint: string): void {
    for (const folder of ["maps", join("progs", fingerprint), "links"])
      mkdirSync(join(this.root, folder), { recursive: true, mode: 0o700 });
  }

  prepareNext(): void {
    mkdirSync(join(this.root, "next"), { recursive: true, mode: 0o700 });
  }

  /** The maps that everything has moved to take the places of the old ones; those go when no program uses them any more. */
  commitNext(): void {
    for (const name of this.nextMaps()) {
      renameSync(this.nextMap(name), this.oldMap(name));
      crashPoint(`map ${name} in its place`);
    }
    removeEmpty(join(this.root, "next"));
  }

  dropNext(): void {
    removeFolder(join(this.root, "next"));
  }

  removeDatapath(fingerprint: string): void {
    removeFolder(join(this.root, "progs", fingerprint));
  }

  /** In the place of the pin that has the name. */
  renameLink(from: string, to: string): void {
    renameSync(this.link(from), this.link(to));
  }

  removeLink(name: string): void {
    unlinkSync(this.link(name));
  }

  /** Everything of this instance; the links must be detached before. */
  removeAll(): void {
    for (const fingerprint of this.fingerprints()) this.removeDatapath(fingerprint);
    for (const folder of ["links", "progs", "next", "maps"]) removeFolder(join(this.root, folder));
    removeEmpty(this.root);
    removeEmpty(join(bpffs, "xgw"));
  }
}

/** Instances that have pins, sorted; none where pins cannot be seen. */
export const instances = (): string[] => list(join(bpffs, "xgw"));

/** @throws KernelError when there is no bpffs where pins go */
export function checkBpffs(): void {
  if (!existsSync(bpffs) || Number(statfsSync(bpffs).type) !== bpffsMagic)
    throw new KernelError(`${bpffs} is not a BPF file system`, {
      remedy: `mount it: mount -t bpf bpf ${bpffs} (where \`ip netns exec\` hides it: nsenter --net=/run/netns/NAME)`,
    });
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function removeFolder(folder: string): void {
  for (const name of list(folder)) {
    unlinkSync(join(folder, name));
    crashPoint(`unpin ${name}`);
  }
  removeEmpty(folder);
}

function removeEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}
