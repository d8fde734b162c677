/** What differs between the machines that xgw can be tested on. */
export interface Arch {
  /** Debian's name. */
  readonly debian: string;
  readonly qemu: string;
  readonly machine: readonly string[];
  /** The CPU that QEMU emulates. */
  readonly emulatedCpu: string;
  readonly console: string;
}

const arches: Partial<Record<NodeJS.Architecture, Arch>> = {
  x64: {
    debian: "amd64",
    qemu: "qemu-system-x86_64",
    machine: ["-M", "q35"],
    // Without AVX, whose registers QEMU saves and copies slowly, and SMAP: 12 % less of the machine's time than "max".
    emulatedCpu: "Westmere",
    console: "ttyS0",
  },
  arm64: {
    debian: "arm64",
    qemu: "qemu-system-aarch64",
    machine: ["-M", "virt,gic-version=max"],
    emulatedCpu: "max",
    console: "ttyAMA0",
  },
};

export function hostArch(): Arch {
  const arch = arches[process.arch];
  if (!arch)
    throw new Error(`the VM knows no machine of type ${process.arch}; it knows ${Object.keys(arches).join(", ")}`);
  return arch;
}
