/** Loads the native addon and says what it offers. The only file that knows where the addon lies. */
import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** A line that libbpf printed. Level 0 is a warning, 1 information, 2 debugging. */
export interface AddonLogLine {
  level: number;
  text: string;
}

export interface AddonMapSpec {
  name: string;
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  mapExtra: bigint;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  internal: boolean;
  autocreate: boolean;
  pinPath?: string;
  inner?: AddonMapSpec;
}

export interface AddonProgramSpec {
  name: string;
  section: string;
  type: number;
  attachType: number;
  flags: number;
  instructions: number;
  autoload: boolean;
}

export interface AddonObjectSpec {
  name: string;
  maps: AddonMapSpec[];
  programs: AddonProgramSpec[];
  btf?: Buffer;
}

export interface AddonQueryEntry {
  progId: number;
  progAttachFlags: number;
  linkId: number;
  linkAttachFlags: number;
}

export interface AddonMapCreateExtra {
  flags?: number | undefined;
  mapExtra?: number | undefined;
  numaNode?: number | undefined;
  ifindex?: number | undefined;
  innerMapFd?: number | undefined;
  btfFd?: number | undefined;
  btfKeyTypeId?: number | undefined;
  btfValueTypeId?: number | undefined;
}

type Bytes = Uint8Array | undefined;

/** The addon's functions. A number that comes back negative is -errno. */
export interface Addon {
  takeLog(): AddonLogLine[];
  setDebugLog(on: boolean): void;
  closeFd(fd: number): number;

  mapCreate(
    type: number,
    name: string,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    extra: AddonMapCreateExtra,
  ): number;
  mapLookup(fd: number, key: Bytes, value: Uint8Array, flags: number): number;
  mapUpdate(fd: number, key: Bytes, value: Uint8Array, flags: number): number;
  mapDelete(fd: number, key: Bytes): number;
  mapTake(fd: number, key: Bytes, value: Uint8Array, flags: number): number;
  mapNextKey(fd: number, key: Bytes, next: Uint8Array): number;
  mapFreeze(fd: number): number;
  mapMemory(fd: number, bytes: number): ArrayBuffer | number;
  mapLookupBatch(
    fd: number,
    inBatch: Bytes,
    outBatch: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: number,
    andDelete: boolean,
  ): [rc: number, count: number];
  mapUpdateBatch(
    fd: number,
    keys: Uint8Array,
    values: Uint8Array,
    count: number,
    flags: number,
  ): [rc: number, count: number];
  mapDeleteBatch(fd: number, keys: Uint8Array, count: number): [rc: number, count: number];

  objectOpen(bytes: Uint8Array, name: string | undefined, btfPath: string | undefined): number;
  objectDescribe(handle: number): AddonObjectSpec;
  objectInitialValue(handle: number, map: string): Buffer | number;
  objectSetInitialValue(handle: number, map: string, value: Uint8Array): number;
  objectSetMap(handle: number, map: string, field: string, value: number | string | undefined): number;
  objectSetProgram(handle: number, program: string, field: string, value: number, text?: string): number;
  objectLoad(handle: number): number;
  objectMapFd(handle: number, map: string): number;
  objectProgramFd(handle: number, program: string): number;
  objectClose(handle: number): number;

  programTestRun(
    fd: number,
    data: Bytes,
    dataOut: Bytes,
    context: Bytes,
    contextOut: Bytes,
    repeat: number,
    flags: number,
    cpu: number,
    batchSize: number,
  ): [rc: number, retval: number, durationNs: number, dataOutSize: number, contextOutSize: number];

  linkCreate(
    programFd: number,
    target: number,
    attachType: number,
    flags: number,
    relativeFd: number,
    relativeId: number,
    expectedRevision: bigint,
    netfilter?: readonly number[],
  ): number;
  rawTracepointOpen(programFd: number, name: string): number;
  linkUpdate(linkFd: number, programFd: number, flags: number, oldProgramFd: number): number;
  linkDetach(linkFd: number): number;
  xdpQuery(
    ifindex: number,
  ): [
    rc: number,
    mode: number,
    progId: number,
    drvId: number,
    hwId: number,
    skbId: number,
    featureFlags: bigint,
    zcMaxSegs: number,
  ];
  xdpSet(ifindex: number, programFd: number, flags: number, expectedFd: number): number;
  programQuery(
    target: number,
    attachType: number,
    queryFlags: number,
    room: number,
    multi: boolean,
  ): [rc: number, count: number, attachFlags: number, revision: bigint, entries: AddonQueryEntry[]];

  tcHookCreate(ifindex: number, point: number): number;
  tcHookDestroy(ifindex: number, point: number): number;
  tcAttach(
    ifindex: number,
    point: number,
    programFd: number,
    flags: number,
    handle: number,
    priority: number,
  ): [rc: number, progId: number, handle: number, priority: number];
  tcDetach(ifindex: number, point: number, handle: number, priority: number): number;

  pin(fd: number, path: string): number;
  openPin(path: string, fileFlags: number): number;
  duplicate(fd: number): number;
  openById(kind: AddonIdKind, id: number): number;
  nextId(kind: AddonIdKind, id: number): number;
  objectInfo(fd: number, bytes: Uint8Array, pointers?: [offset: number, target: Uint8Array][]): number;

  netlinkOpen(protocol: number, isStrict: boolean): number;
  netlinkSend(fd: number, datagram: Uint8Array): number;
  netlinkReceive(fd: number, room: Uint8Array): number;
  netlinkListen(
    protocol: number,
    groups: readonly number[],
    room: number,
    filter: Uint8Array,
    wake: () => void,
  ): number;
  netlinkHear(handle: number, room: Uint8Array): number;

  btfDump(raw: Uint8Array, base: Bytes, ids: number[] | undefined): string | number;
  btfLoad(raw: Uint8Array): number;

  probeMapType(type: number): number;
  probeProgramType(type: number): number;
  programLoad(
    type: number,
    attachType: number,
    instructions: Uint8Array,
    licence: string,
    btfFd: number,
  ): [fd: number, log: string];
  typeName(kind: "map" | "prog" | "link" | "attach", value: number): string | undefined;

  ringOpen(mapFd: number, wake: () => void): number;
  ringConsume(handle: number, limit: number): Buffer[] | number;

  /** Of ringOpen and netlinkListen. */
  readerArm(handle: number): number;
  readerRest(handle: number): void;
  readerClose(handle: number): void;

  possibleCpus(): number;
  errorText(errno: number): string;
  libbpfVersion(): string;
  interfaceName(ifindex: number): string | undefined;
  interfaceIndex(name: string): number;
  tickNanoseconds(): number;
  clocks(): [realtimeNs: bigint, bootTimeNs: bigint];
  enterNetNamespace(path: string): number;
  leaveNetNamespace(fd: number): number;
  lockFile(path: string, text: string): number;
  peerCredentials(fd: number): [pid: number, uid: number, gid: number] | number;
}

export type AddonIdKind = "map" | "prog" | "link" | "btf";

function load(): Addon {
  const candidates = [
    process.env.LIBBPF_TS_ADDON,
    fileURLToPath(new URL("../build/Release/libbpf_ts.node", import.meta.url)),
    fileURLToPath(new URL(`../prebuilds/linux-${process.arch}/libbpf_ts.node`, import.meta.url)),
  ];
  // Not by access(2), which goes by the real user and not by capabilities. A folder that may not be entered is an error.
  const exists = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined;
  const path = candidates.find((candidate) => candidate !== undefined && exists(candidate));
  if (path === undefined) {
    throw new Error(`libbpf-ts: the native addon is not built (looked for ${candidates.filter(Boolean).join(", ")})`);
  }
  return createRequire(import.meta.url)(path) as Addon;
}

export const addon: Addon = load();
