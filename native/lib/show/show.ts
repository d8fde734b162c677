/**
 * What is loaded, as JSON with bpftool's keys and values (`bpftool -j prog|map|link show`), and some keys more. Numbers are
 * numbers even where the kernel has 64 bits, as in bpftool's JSON.
 */
import { addon } from "../addon.js";
import { btfById } from "../btf/kernel.js";
import { nameIn, PROGRAM_TYPES } from "../enums.js";
import { fds } from "../ids.js";
import {
  InfoView,
  type LinkInfo,
  type ProgramInfo,
  readInfo,
  readLinkInfo,
  readMapInfo,
  readProgramInfo,
} from "../info.js";
import { readFdInfo } from "./fdinfo.js";
import { findPins, type PinKind, type Pins } from "./pins.js";

export interface ShowOptions {
  /** Adds "pinned": the paths where each is pinned, in all mounted bpffs. */
  pinned?: boolean;
  /** Only this one. */
  id?: number;
}

type Json = Record<string, unknown>;

function each(kind: PinKind, options: ShowOptions, describe: (fd: number, pins: Json) => Json): Json[] {
  const pins: Pins | undefined = options.pinned ? findPins() : undefined;
  const shown: Json[] = [];
  for (const { id, fd } of fds(kind)) {
    try {
      if (options.id !== undefined && options.id !== id) continue;
      shown.push(describe(fd, pins === undefined ? {} : { pinned: pins.get(`${kind}:${id}`) ?? [] }));
    } finally {
      addon.closeFd(fd);
    }
  }
  return shown;
}

/** Needs CAP_SYS_ADMIN, as the lists below do. */
export function showPrograms(options: ShowOptions = {}): Json[] {
  return each("prog", options, (fd, pins) => ({ ...programJson(fd), ...pins }));
}

export function showMaps(options: ShowOptions = {}): Json[] {
  return each("map", options, (fd, pins) => ({ ...mapJson(fd), ...pins }));
}

export function showLinks(options: ShowOptions = {}): Json[] {
  return each("link", options, (fd, pins) => ({ ...linkJson(fd), ...pins }));
}

function programJson(fd: number): Json {
  const info = readProgramInfo(fd, "program");
  const facts = readFdInfo(fd);
  const name = fullName(fd, info);
  return {
    id: info.id,
    type: info.type,
    ...(name === "" ? {} : { name }),
    tag: info.tag,
    gpl_compatible: info.gplCompatible,
    orphaned: false, // one whose device has gone tells nothing of itself (ENODEV)
    ...(info.runTimeNs === 0n ? {} : { run_time_ns: Number(info.runTimeNs), run_cnt: Number(info.runCount) }),
    ...(info.recursionMisses === 0n ? {} : { recursion_misses: Number(info.recursionMisses) }),
    ...device(info),
    ...(info.loadTimeNs === 0n ? {} : { loaded_at: wallClockSeconds(info.loadTimeNs), uid: info.createdByUid }),
    bytes_xlated: info.xlatedLength,
    jited: info.jitedLength > 0,
    ...(info.jitedLength === 0 ? {} : { bytes_jited: info.jitedLength }),
    bytes_memlock: Number(facts.get("memlock") ?? 0),
    ...(info.mapIds.length === 0 ? {} : { map_ids: info.mapIds }),
    ...(info.btfId === 0 ? {} : { btf_id: info.btfId }),
    verified_insns: info.verifiedInstructions,
  };
}

function mapJson(fd: number): Json {
  const info = readMapInfo(fd, "map");
  const facts = readFdInfo(fd);
  const ownerType = facts.get("owner_prog_type");
  const ownerJited = facts.get("owner_jited");
  const frozen = facts.get("frozen");
  return {
    id: info.id,
    type: info.type,
    ...(info.name === "" ? {} : { name: info.name }),
    flags: info.flags,
    ...device(info),
    bytes_key: info.keySize,
    bytes_value: info.valueSize,
    max_entries: info.maxEntries,
    bytes_memlock: Number(facts.get("memlock") ?? 0),
    ...(ownerType === undefined ? {} : { owner_prog_type: nameIn(PROGRAM_TYPES, Number(ownerType)) }),
    ...(ownerJited === undefined ? {} : { owner_jited: ownerJited !== "0" }),
    ...(frozen === undefined ? {} : { frozen: Number(frozen) }),
    ...(info.btfId === 0 ? {} : { btf_id: info.btfId }),
  };
}

function linkJson(fd: number): Json {
  const info = readLinkInfo(fd, "link");
  return {
    id: info.id,
    type: info.type,
    ...(info.type === "struct_ops" ? {} : { prog_id: info.progId }),
    ...linkTypeJson(info),
  };
}

/** What a link's type adds, under bpftool's names. */
function linkTypeJson(info: LinkInfo): Json {
  const { netfilter, ifindex } = info;
  return {
    ...(info.tracepointName === undefined ? {} : { tp_name: info.tracepointName }),
    ...(info.type === "tracing" ? { prog_type: programTypeOf(info.progId) } : {}),
    ...(ifindex === undefined
      ? {}
      : { devname: ifindex === 0 ? "(detached)" : (addon.interfaceName(ifindex) ?? "(unknown)"), ifindex }),
    ...(info.iteratorTarget === undefined ? {} : { target_name: info.iteratorTarget }),
    ...(info.count === undefined ? {} : { func_cnt: info.count }),
    ...(info.cgroupId === undefined ? {} : { cgroup_id: Number(info.cgroupId) }),
    ...(info.netnsIno === undefined ? {} : { netns_ino: info.netnsIno }),
    ...(info.attachType === undefined || info.type === "xdp" || info.type === "iter" || netfilter
      ? {}
      : { attach_type: info.attachType }),
    ...(info.targetObjectId === undefined ? {} : { target_obj_id: info.targetObjectId }),
    ...(info.targetBtfId === undefined ? {} : { target_btf_id: info.targetBtfId }),
    ...(info.mapId === undefined ? {} : { map_id: info.mapId }),
    ...(netfilter === undefined
      ? {}
      : { pf: netfilter.family, hook: netfilter.hook, prio: netfilter.priority, flags: netfilter.flags }),
  };
}

function programTypeOf(id: number): string | undefined {
  const fd = addon.openById("prog", id);
  if (fd < 0) return undefined;
  try {
    return readProgramInfo(fd, `program ${id}`).type;
  } finally {
    addon.closeFd(fd);
  }
}

/** The kernel keeps 15 bytes of a name; BTF has the function's whole one. */
function fullName(fd: number, info: ProgramInfo): string {
  if (info.name.length < 15 || info.btfId === 0 || info.functionInfoCount === 0) return info.name;
  const record = Buffer.alloc(8);
  const view = new InfoView();
  view.setU32(132, record.length);
  view.setU32(144, 1);
  readInfo(fd, "program", view, [[136, record]]);
  const type = btfById(info.btfId).type(new InfoView(record).u32(4));
  return type.kind === "func" && type.name.startsWith(info.name) ? type.name : info.name;
}

function device(info: { ifindex: number; netnsDev: bigint; netnsIno: bigint }): Json {
  if (info.ifindex === 0) return {};
  const ifname = addon.interfaceName(info.ifindex);
  return {
    dev: {
      ifindex: info.ifindex,
      ns_dev: Number(info.netnsDev),
      ns_inode: Number(info.netnsIno),
      ...(ifname === undefined ? {} : { ifname }),
    },
  };
}

/** A time since boot as seconds since 1970. */
function wallClockSeconds(bootNs: bigint): number {
  const [realtime, boot] = addon.clocks();
  return Number((realtime - boot + bootNs) / 1_000_000_000n);
}
