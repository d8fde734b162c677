/**
 * Where xgw keeps what must outlive it: `/sys/fs/bpf/xgw/<instance>/maps/<map>`, `progs/<fingerprint>/<program>` and
 * `links/<attachment>`. Only what is recorded there is ever removed.
 */

import { existsSync, mkdirSync, readdirSync, rmdirSync, statfsSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { KernelError } from "../errors.js";

export const bpffs = "/sys/fs/bpf";
/** BPF_FS_MAGIC, linux/magic.h */
const bpffsMagic = 0xcafe4a11;

export class Pins {
  readonly root: string;

  constructor(readonly instance: string) {
    this.root = join(bpffs, "xgw", instance);
  }

  /** Those in which pins of the instance lie, the programs' excepted. */
  get folders(): string[] {
    return [join(this.root, "maps"), join(this.root, "progs"), join(this.root, "links")];
  }

  map(name: string): string {
    return join(this.root, "maps", name);
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

  fingerprints(): string[] {
    return list(join(this.root, "progs"));
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

  removeDatapath(fingerprint: string): void {
    removeFolder(join(this.root, "progs", fingerprint));
  }

  removeLink(name: string): void {
    unlinkSync(this.link(name));
  }

  /** Everything of this instance; the links must be detached before. */
  removeAll(): void {
    for (const fingerprint of this.fingerprints()) this.removeDatapath(fingerprint);
    for (const folder of ["links", "progs", "maps"]) removeFolder(join(this.root, folder));
    removeEmpty(this.root);
    removeEmpty(join(bpffs, "xgw"));
  }
}

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
  for (const name of list(folder)) unlinkSync(join(folder, name));
  removeEmpty(folder);
}

function removeEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}
