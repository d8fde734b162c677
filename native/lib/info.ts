/** Decodes the kernel's bpf_*_info structs (host byte order, offsets fixed by the kernel's ABI). */

import { endianness } from "node:os";
import { addon } from "./addon.js";
import { cText } from "./c-text.js";
import {
  ATTACH_TYPES,
  type AttachType,
  LINK_TYPES,
  type LinkType,
  MAP_TYPES,
  type MapType,
  nameIn,
  PROGRAM_TYPES,
  type ProgramType,
} from "./enums.js";
import { check } from "./error.js";

/** Larger than any info struct there is: the kernel fills what it knows and leaves the rest zero. */
const ROOM = 512;
const LE = endianness() === "LE";

/** A reader over an info struct. */
export class InfoView {
  readonly bytes: Buffer;
  readonly #view: DataView;

  constructor(bytes: Buffer = Buffer.alloc(ROOM)) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, LE);
  }

  i32(offset: number): number {
    return this.#view.getInt32(offset, LE);
  }

  u64(offset: number): bigint {
    return this.#view.getBigUint64(offset, LE);
  }

  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, LE);
  }

  text(offset: number, length: number): string {
    return cText(this.bytes.subarray(offset, offset + length));
  }
}

/** Asks the kernel about a descriptor. Pointers: [offset of the pointer field, where it is to point]. */
export function readInfo(fd: number, label: string, view = new InfoView(), pointers?: [number, Buffer][]): InfoView {
  check(addon.objectInfo(fd, view.bytes, pointers), "get info of", label);
  return view;
}

/** All of `struct bpf_map_info`. */
export interface MapInfo {
  id: number;
  type: MapType;
  name: string;
  /** Bytes. */
  keySize: number;
  /** Bytes; of one CPU's value in per-CPU maps. */
  valueSize: number;
  maxEntries: number;
  /** `BPF_F_*` bits, see {@link MapFlag}. */
  flags: number;
  /** The device the map is offloaded to, or 0. */
  ifindex: number;
  netnsDev: bigint;
  netnsIno: bigint;
  /** 0 when the map has no BTF. */
  btfId: number;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  btfVmlinuxId: number;
  btfVmlinuxValueTypeId: number;
  mapExtra: bigint;
}

export function readMapInfo(fd: number, label: string): MapInfo {
  const v = readInfo(fd, label);
  return {
    type: nameIn(MAP_TYPES, v.u32(0)),
    id: v.u32(4),
    keySize: v.u32(8),
    valueSize: v.u32(12),
    maxEntries: v.u32(16),
    flags: v.u32(20),
    name: v.text(24, 16),
    ifindex: v.u32(40),
    btfVmlinuxValueTypeId: v.u32(44),
    netnsDev: v.u64(48),
    netnsIno: v.u64(56),
    btfId: v.u32(64),
    btfKeyTypeId: v.u32(68),
    btfValueTypeId: v.u32(72),
    btfVmlinuxId: v.u32(76),
    mapExtra: v.u64(80),
  };
}

/** `struct bpf_prog_info`, with the arrays that cost little. */
export interface ProgramInfo {
  id: number;
  type: ProgramType;
  name: string;
  /** Hash of the instructions: 8 bytes in hexadecimal. */
  tag: string;
  /** Bytes of machine code; 0 when it is not shown to the caller. */
  jitedLength: number;
  /** Bytes of BPF instructions after the verifier's changes. */
  xlatedLength: number;
  /** Nanoseconds since boot at which it was loaded. */
  loadTimeNs: bigint;
  createdByUid: number;
  /** The maps it uses. */
  mapIds: number[];
  ifindex: number;
  gplCompatible: boolean;
  netnsDev: bigint;
  netnsIno: bigint;
  /** 0 when the program has no BTF. */
  btfId: number;
  functionInfoCount: number;
  lineInfoCount: number;
  jitedFunctionCount: number;
  /** Nanoseconds; counts only while the kernel's BPF statistics are on. */
  runTimeNs: bigint;
  runCount: bigint;
  recursionMisses: bigint;
  verifiedInstructions: number;
  attachBtfObjectId: number;
  attachBtfId: number;
}

export function readProgramInfo(fd: number, label: string): ProgramInfo {
  // First how many maps, then which: they may be no more than there were, for a program's maps never change.
  const first = readInfo(fd, label);
  const count = first.u32(52);
  const view = new InfoView();
  view.setU32(52, count);
  const ids = Buffer.alloc(count * 4);
  const v = readInfo(fd, label, view, count === 0 ? undefined : [[56, ids]]);
  return {
    type: nameIn(PROGRAM_TYPES, v.u32(0)),
    id: v.u32(4),
    tag: v.bytes.toString("hex", 8, 16),
    jitedLength: v.u32(16),
    xlatedLength: v.u32(20),
    loadTimeNs: v.u64(40),
    createdByUid: v.u32(48),
    mapIds: Array.from({ length: count }, (_, i) => (LE ? ids.readUInt32LE(i * 4) : ids.readUInt32BE(i * 4))),
    name: v.text(64, 16),
    ifindex: v.u32(80),
    gplCompatible: (v.u32(84) & 1) === 1,
    netnsDev: v.u64(88),
    netnsIno: v.u64(96),
    jitedFunctionCount: v.u32(108),
    btfId: v.u32(128),
    functionInfoCount: v.u32(144),
    lineInfoCount: v.u32(148),
    runTimeNs: v.u64(192),
    runCount: v.u64(200),
    recursionMisses: v.u64(208),
    verifiedInstructions: v.u32(216),
    attachBtfObjectId: v.u32(220),
    attachBtfId: v.u32(224),
  };
}

/** The parts of `struct bpf_prog_info` that are long: read them when they are wanted. */
export interface ProgramDetails {
  /** BPF instructions after the verifier's changes; empty when they are not shown to the caller. */
  xlated: Buffer;
  /** Machine code; empty when it is not shown to the caller. */
  jited: Buffer;
  /** Address of each function's machine code; 0 when they are not shown to the caller. */
  kernelSymbols: bigint[];
  /** Bytes of each function's machine code. */
  functionLengths: number[];
  /** Where each function begins, and its type in the program's BTF. */
  functions: { instruction: number; typeId: number }[];
  /** Source lines by instruction, as offsets into the strings of the program's BTF. */
  lines: { instruction: number; fileOffset: number; textOffset: number; line: number; column: number }[];
  /** Tag of each function. */
  tags: string[];
}

/** Offset of the count, of the pointer, and bytes an element, of an array in bpf_prog_info. */
type ProgramArray = readonly [count: number, pointer: number, size: number];

const PROGRAM_ARRAYS = {
  jited: [16, 24, 1],
  xlated: [20, 32, 1],
  kernelSymbols: [104, 112, 8],
  functionLengths: [108, 120, 4],
  functions: [144, 136, 8],
  lines: [148, 152, 16],
  tags: [180, 184, 8],
} as const satisfies Record<string, ProgramArray>;

export function readProgramDetails(fd: number, label: string): ProgramDetails {
  const sizes = readInfo(fd, label);
  const view = new InfoView();
  view.setU32(132, PROGRAM_ARRAYS.functions[2]);
  view.setU32(172, PROGRAM_ARRAYS.lines[2]);
  const pointers: [number, Buffer][] = [];
  const room = ([count, pointer, size]: ProgramArray): Buffer => {
    const buffer = Buffer.alloc(sizes.u32(count) * size);
    view.setU32(count, sizes.u32(count));
    if (buffer.length > 0) pointers.push([pointer, buffer]);
    return buffer;
  };
  const xlated = room(PROGRAM_ARRAYS.xlated);
  const jited = room(PROGRAM_ARRAYS.jited);
  const symbols = elements(room(PROGRAM_ARRAYS.kernelSymbols), 8);
  const lengths = elements(room(PROGRAM_ARRAYS.functionLengths), 4);
  const functions = elements(room(PROGRAM_ARRAYS.functions), 8);
  const lines = elements(room(PROGRAM_ARRAYS.lines), 16);
  const tags = elements(room(PROGRAM_ARRAYS.tags), 8);
  readInfo(fd, label, view, pointers);
  return {
    xlated,
    jited,
    kernelSymbols: symbols.map((e) => e.u64(0)),
    functionLengths: lengths.map((e) => e.u32(0)),
    functions: functions.map((e) => ({ instruction: e.u32(0), typeId: e.u32(4) })),
    lines: lines.map((e) => ({
      instruction: e.u32(0),
      fileOffset: e.u32(4),
      textOffset: e.u32(8),
      line: e.u32(12) >>> 10,
      column: e.u32(12) & 0x3ff,
    })),
    tags: tags.map((e) => e.bytes.toString("hex")),
  };
}

/** Views of the elements, to be read after the kernel has filled them. */
function elements(bytes: Buffer, size: number): InfoView[] {
  return Array.from({ length: bytes.length / size }, (_, i) => new InfoView(bytes.subarray(i * size, (i + 1) * size)));
}

/** `struct bpf_link_info`: what every link has, and what its type adds. */
export interface LinkInfo {
  id: number;
  type: LinkType;
  /** 0 for links that hold no program. */
  progId: number;
  /** The interface (xdp, tcx, netkit); 0 once it is gone or the link is detached. */
  ifindex?: number;
  attachType?: AttachType;
  /** cgroup */
  cgroupId?: bigint;
  /** netns: inode number of the namespace. */
  netnsIno?: number;
  /** raw_tracepoint */
  tracepointName?: string;
  /** tracing */
  targetObjectId?: number;
  targetBtfId?: number;
  /** struct_ops, iter over a map */
  mapId?: number;
  /** iter */
  iteratorTarget?: string;
  /** kprobe_multi, uprobe_multi: how many places. */
  count?: number;
  /** netfilter: numbers of the kernel, NFPROTO_* and enum nf_inet_hooks. */
  netfilter?: { family: number; hook: number; priority: number; flags: number };
}

export function readLinkInfo(fd: number, label: string): LinkInfo {
  const v = readInfo(fd, label);
  const type = nameIn(LINK_TYPES, v.u32(0));
  const common = { type, id: v.u32(4), progId: v.u32(8) };
  switch (type) {
    case "xdp":
      return { ...common, ifindex: v.u32(16), attachType: "xdp" };
    case "tcx":
    case "netkit":
      return { ...common, ifindex: v.u32(16), attachType: nameIn(ATTACH_TYPES, v.u32(20)) };
    case "cgroup":
      return { ...common, cgroupId: v.u64(16), attachType: nameIn(ATTACH_TYPES, v.u32(24)) };
    case "netns":
      return { ...common, netnsIno: v.u32(16), attachType: nameIn(ATTACH_TYPES, v.u32(20)) };
    case "raw_tracepoint":
      return { ...common, tracepointName: readText(fd, label, 16, 24) };
    case "tracing":
      return {
        ...common,
        attachType: nameIn(ATTACH_TYPES, v.u32(16)),
        targetObjectId: v.u32(20),
        targetBtfId: v.u32(24),
      };
    case "iter":
      return { ...common, attachType: "trace_iter", iteratorTarget: readText(fd, label, 16, 24) };
    case "kprobe_multi":
      return { ...common, count: v.u32(24) };
    case "uprobe_multi":
      return { ...common, count: v.u32(44) };
    case "struct_ops":
      return { ...common, mapId: v.u32(16) };
    case "netfilter":
      return {
        ...common,
        attachType: "netfilter",
        netfilter: { family: v.u32(16), hook: v.u32(20), priority: v.i32(24), flags: v.u32(28) },
      };
    default:
      return common;
  }
}

/** A text that the kernel writes to where a pointer in the info points. */
function readText(fd: number, label: string, pointer: number, length: number): string {
  const text = Buffer.alloc(256);
  const view = new InfoView();
  view.setU32(length, text.length);
  readInfo(fd, label, view, [[pointer, text]]);
  return cText(text);
}
