/** What differs between the machines that xgw can be tested on. */
export interface Arch {
  /** Debian's name. */
  readonly debian: string;
  readonly qemu: string;
  readonly machine: readonly string[];
  readonly console: string;
}

const arches: Partial<Record<NodeJS.Architecture, Arch>> = {
  x64: { debian: "amd64", qemu: "qemu-system-x86_64", machine: ["-M", "q35"], console: "ttyS0" },
  arm64: { debian: "arm64", qemu: "qemu-system-aarch64", machine: ["-M", "virt,gic-version=max"], console: "ttyAMA0" },
};

export function hostArch(): Arch {
  const arch = arches[process.arch];
  if (!arch)
    throw new Error(`the VM knows no machine of type ${process.arch}; it knows ${Object.keys(arches).join(", ")}`);
  return arch;
}
