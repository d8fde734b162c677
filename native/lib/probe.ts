/** What the running kernel can do, found by trying or from its BTF. Needs the privilege to load programs. */
import { readdirSync } from "node:fs";
import { endianness } from "node:os";
import { addon } from "./addon.js";
import { Btf } from "./btf/btf.js";
import { listBtf } from "./btf/kernel.js";
import {
  ATTACH_TYPES,
  type AttachType,
  MAP_TYPES,
  type MapType,
  numberIn,
  PROGRAM_TYPES,
  type ProgramType,
} from "./enums.js";
import { EINVAL, ENOENT, EPERM } from "./errno.js";
import { BpfError, check } from "./error.js";
import { fdById } from "./ids.js";
import { drainLog } from "./log.js";

function verdict(rc: number, what: string): boolean {
  return check(rc, "probe", what, drainLog()) === 1;
}

/** @throws BpfError EPERM without privilege */
export function probeMapType(type: MapType): boolean {
  return verdict(addon.probeMapType(numberIn(MAP_TYPES, type)), `map type ${type}`);
}

/** @throws BpfError EPERM without privilege; EOPNOTSUPP where libbpf does not know how to find out */
export function probeProgramType(type: ProgramType): boolean {
  return verdict(addon.probeProgramType(numberIn(PROGRAM_TYPES, type)), `program type ${type}`);
}

/**
 * Whether programs of a type may call a helper. libbpf's own probe is not used: it knows the verifier's words of older
 * kernels only.
 * @param helper its number, or its name without "bpf_" ("map_lookup_elem"); false when the kernel knows no such name.
 * @throws BpfError EPERM without privilege; EINVAL for program types that cannot be loaded without a target
 */
export function probeHelper(type: ProgramType, helper: string | number): boolean {
  const number = typeof helper === "number" ? helper : helperNumbers().get(helper);
  if (number === undefined) return false;
  return mayCall(type, callAndExit(0, 0, number), -1, `helper ${helper}`);
}

/** Loads a program that is nothing but a call, with wrong arguments, and reads what the verifier thinks of it. */
function mayCall(type: ProgramType, code: Buffer, btfFd: number, what: string): boolean {
  const [fd, log] = addon.programLoad(numberIn(PROGRAM_TYPES, type), attachTypeFor(type), code, "GPL", btfFd);
  drainLog();
  if (fd >= 0) {
    addon.closeFd(fd);
    return true;
  }
  if (/unknown func|invalid func|cannot use helper|is not allowed|does not support calling/.test(log)) return false;
  // The verifier came to the call, and complains of something else (its arguments): the call itself is allowed. If it did
  // not come there, what is called is nothing that a program could call.
  if (log !== "" && fd !== -EPERM) return /\(85\) call /.test(log);
  throw new BpfError({ operation: "probe", objectName: `${what} of ${type}`, errno: fd });
}

/** `call function; exit`; source 2 means a kfunc, of the BTF that the offset says. */
function callAndExit(source: number, offset: number, target: number): Buffer {
  const code = Buffer.alloc(16);
  const le = endianness() === "LE";
  code[0] = 0x85;
  code[1] = le ? source << 4 : source;
  if (le) code.writeInt16LE(offset, 2);
  else code.writeInt16BE(offset, 2);
  if (le) code.writeInt32LE(target, 4);
  else code.writeInt32BE(target, 4);
  code[8] = 0x95;
  return code;
}

/** Types that are not loaded without saying where they are to attach. */
function attachTypeFor(type: ProgramType): number {
  const needed: Partial<Record<ProgramType, AttachType>> = {
    cgroup_sock_addr: "cgroup_inet4_connect",
    cgroup_sockopt: "cgroup_getsockopt",
    sk_lookup: "sk_lookup",
    netfilter: "netfilter",
  };
  const attachType = needed[type];
  return attachType === undefined ? 0 : numberIn(ATTACH_TYPES, attachType);
}

/** The helpers that the running kernel knows, by name: from its BTF. */
export function helperNumbers(): ReadonlyMap<string, number> {
  const ids = Btf.vmlinux().get("bpf_func_id", "enum");
  const prefix = "BPF_FUNC_";
  return new Map(
    ids.values
      .filter(({ name, value }) => name.startsWith(prefix) && value > 0)
      .map(({ name, value }) => [name.slice(prefix.length), value]),
  );
}

/**
 * Who has a kfunc: "vmlinux", a module's name, or undefined when none that is loaded has it.
 * @param type asks the verifier too whether programs of this type may call it. Without it BTF has to do: if the kernel was
 * built without tags for its kfuncs (before 6.9, or by an old pahole), any function of that name counts.
 */
export function probeKfunc(name: string, type?: ProgramType): string | undefined {
  const owner = isKfunc(Btf.vmlinux(), name)
    ? "vmlinux"
    : readdirSync("/sys/kernel/btf").find((module) => module !== "vmlinux" && isKfunc(Btf.module(module), name));
  if (owner === undefined || type === undefined) return owner;
  const btf = owner === "vmlinux" ? Btf.vmlinux() : Btf.module(owner);
  const target = btf.findAll(name).find(({ kind, id }) => kind === "func" && id >= btf.firstId)?.id ?? 0;
  if (owner === "vmlinux") return mayCall(type, callAndExit(2, 0, target), -1, `kfunc ${name}`) ? owner : undefined;
  const module = [...listBtf()].find((info) => info.kernel && info.name === owner);
  if (module === undefined) return undefined;
  const fd = fdById("btf", module.id);
  try {
    return mayCall(type, callAndExit(2, 1, target), fd, `kfunc ${name}`) ? owner : undefined;
  } finally {
    addon.closeFd(fd);
  }
}

const kfuncIds = new WeakMap<Btf, Set<number>>();

/** Kernels from 6.9 on tag their kfuncs; before that, a function of that name has to do. */
function isKfunc(btf: Btf, name: string): boolean {
  const functions = btf.findAll(name).filter((type) => type.kind === "func" && type.id >= btf.firstId);
  if (functions.length === 0) return false;
  let tagged = kfuncIds.get(btf);
  if (tagged === undefined) {
    tagged = new Set(
      btf.findAll("bpf_kfunc").flatMap((tag) => (tag.kind === "decl_tag" && tag.component === -1 ? [tag.type] : [])),
    );
    kfuncIds.set(btf, tagged);
  }
  const ids = tagged;
  return ids.size === 0 || functions.some(({ id }) => ids.has(id));
}

export type AttachMode = "xdp_link" | "tcx" | "netkit" | "netfilter_link";

/** Whether the kernel has a way to attach. */
export function probeAttach(mode: AttachMode): boolean {
  switch (mode) {
    case "xdp_link":
      return Btf.vmlinux().find("bpf_xdp_link", "struct") !== undefined;
    case "netfilter_link":
      return Btf.vmlinux().find("bpf_nf_link", "struct") !== undefined;
    case "tcx":
      return hookExists("tcx_ingress");
    case "netkit":
      return hookExists("netkit_primary");
  }
}

/** An unknown hook is EINVAL; a known one works on the loopback device, or says that it is not for it. */
function hookExists(type: "tcx_ingress" | "netkit_primary"): boolean {
  const [rc] = addon.programQuery(1, numberIn(ATTACH_TYPES, type), 0, 0, true);
  return rc !== -EINVAL;
}

export interface Features {
  libbpf: string;
  mapTypes: Partial<Record<MapType, boolean>>;
  programTypes: Partial<Record<ProgramType, boolean>>;
  attach: Record<AttachMode, boolean>;
}

/** All map and program types and ways to attach. What cannot be found out is left out. */
export function probeFeatures(): Features {
  return {
    libbpf: addon.libbpfVersion(),
    mapTypes: each(MAP_TYPES, probeMapType),
    programTypes: each(PROGRAM_TYPES, probeProgramType),
    attach: {
      xdp_link: probeAttach("xdp_link"),
      tcx: probeAttach("tcx"),
      netkit: probeAttach("netkit"),
      netfilter_link: probeAttach("netfilter_link"),
    },
  };
}

function each<T extends string>(names: readonly T[], probe: (name: T) => boolean): Partial<Record<T, boolean>> {
  const found: Partial<Record<T, boolean>> = {};
  for (const name of names.slice(1)) {
    try {
      found[name] = probe(name);
    } catch (error) {
      if (!(error instanceof BpfError) || error.code === "EPERM" || error.errno === ENOENT) throw error;
    }
  }
  return found;
}
