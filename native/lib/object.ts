/** A BPF object file: a specification that can be looked at and changed, then loaded into the kernel. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type AddonMapSpec, type AddonProgramSpec, addon } from "./addon.js";
import { Btf } from "./btf/btf.js";
import { codecOf } from "./btf/codec.js";
import { layoutOf } from "./btf/layout.js";
import {
  ATTACH_TYPES,
  type AttachType,
  MAP_TYPES,
  MapFlag,
  type MapType,
  nameIn,
  PROGRAM_TYPES,
  type ProgramType,
} from "./enums.js";
import { EINVAL, ENOENT } from "./errno.js";
import { BpfError, check, closedError, invalid } from "./error.js";
import { drainLog } from "./log.js";
import { BpfMap } from "./map.js";
import { BpfProgram } from "./program.js";
import { TypedMap, type TypedMapOptions } from "./typed-map.js";
import { listVariables, type VariableSpec, variableBytes } from "./variables.js";

export interface ObjectOpenOptions {
  /** The object's name, part of the names of its .rodata, .data and .bss maps; the file's if not given. */
  name?: string;
  /** BTF to relocate against in place of the running kernel's. */
  btfPath?: string;
}

export interface MapSpec {
  name: string;
  type: MapType;
  /** Bytes. */
  keySize: number;
  /** Bytes. */
  valueSize: number;
  maxEntries: number;
  /** `BPF_F_*` bits, see {@link MapFlag}. */
  flags: number;
  mapExtra: bigint;
  /** Ids in the object's BTF; 0 when there is none. */
  btfKeyTypeId: number;
  btfValueTypeId: number;
  /** Made by libbpf to hold a section of variables. */
  internal: boolean;
  /** Whether load() makes it. */
  autocreate: boolean;
  /** Where load() pins it, or takes it from. */
  pinPath?: string;
  /** For maps of maps: what they hold. */
  inner?: MapSpec;
}

export interface ProgramSpec {
  name: string;
  /** The ELF section, which says the type, as in SEC("xdp"). */
  section: string;
  type: ProgramType;
  /** Meaningful for the types that have several. */
  attachType: AttachType;
  flags: number;
  /** Number of instructions. */
  instructions: number;
  /** Whether load() loads it. */
  autoload: boolean;
}

/**
 * Opening needs no privilege; load() does. Maps and programs that were taken from the object close with it: clone() what is to
 * live longer (or pin it).
 */
export class BpfObject implements Disposable {
  readonly name: string;
  /** The object's types, if it has BTF. */
  readonly btf: Btf | undefined;
  #handle: number;
  #loaded = false;
  /** As the file had them: libbpf forgets, at load, those of maps that the kernel takes no BTF for. */
  readonly #typeIds: Map<string, Pick<MapSpec, "btfKeyTypeId" | "btfValueTypeId">>;
  readonly #maps = new Map<string, BpfMap>();
  readonly #programs = new Map<string, BpfProgram>();

  private constructor(handle: number) {
    this.#handle = handle;
    const spec = addon.objectDescribe(handle);
    this.name = spec.name;
    this.#typeIds = new Map(
      spec.maps.map(({ name, btfKeyTypeId, btfValueTypeId }) => [name, { btfKeyTypeId, btfValueTypeId }]),
    );
    this.btf = spec.btf === undefined ? undefined : Btf.parse(spec.btf);
  }

  /** @throws BpfError ENOENT when there is no such file; LIBBPF_FORMAT and the like when it is no BPF object. */
  static open(source: string | Uint8Array, options: ObjectOpenOptions = {}): BpfObject {
    const operation = "open object";
    const file = typeof source === "string" ? source : undefined;
    const bytes = typeof source === "string" ? readObjectFile(source) : source;
    const name = options.name ?? (file === undefined ? undefined : basename(file).replace(/(\.bpf)?\.[^.]*$/, ""));
    if (bytes.byteLength === 0) throw invalid(operation, name, "it is empty");
    const handle = addon.objectOpen(bytes, name, options.btfPath);
    const log = drainLog();
    return new BpfObject(check(handle, operation, file ?? name, log));
  }

  get closed(): boolean {
    return this.#handle === 0;
  }

  get loaded(): boolean {
    return this.#loaded;
  }

  /** The maps as they are to be made, in the object's order. */
  get maps(): MapSpec[] {
    return addon.objectDescribe(this.#open("describe")).maps.map((map) => ({
      ...mapSpec(map),
      ...this.#typeIds.get(map.name),
    }));
  }

  /** The programs as they are to be loaded. */
  get programs(): ProgramSpec[] {
    return addon.objectDescribe(this.#open("describe")).programs.map(programSpec);
  }

  /** The global variables, of all sections. */
  get variables(): VariableSpec[] {
    return listVariables(this.btf, addon.objectDescribe(this.#open("describe")).maps);
  }

  /** A map's specification. @throws BpfError ENOENT */
  mapSpec(name: string): MapSpec {
    const found = this.maps.find((map) => map.name === name);
    if (found === undefined) throw this.#missing("map", name);
    return found;
  }

  /** A variable's specification. @throws BpfError ENOENT */
  variableSpec(name: string): VariableSpec {
    const found = this.variables.find((variable) => variable.name === name);
    if (found === undefined) throw this.#missing("variable", name);
    return found;
  }

  /**
   * Gives a global variable its value, before load(): a number for integers (checked against the type's range), objects for
   * structs and so on as its BTF has it, or its bytes.
   */
  setVariable(name: string, value: unknown): this {
    this.#unloaded("set variable", name);
    const variable = this.variableSpec(name);
    if (this.btf === undefined) throw this.#missing("variable", name);
    const bytes = variableBytes(this.btf, variable, value);
    const section = addon.objectInitialValue(this.#handle, variable.map);
    if (typeof section === "number") {
      throw new BpfError({ operation: "set variable", objectName: name, errno: section });
    }
    section.set(bytes, variable.offset);
    check(addon.objectSetInitialValue(this.#handle, variable.map, section), "set variable", name, drainLog());
    return this;
  }

  /** A global variable's bytes: as load() will set it, or after it as the programs have it now. */
  getVariable(name: string): Buffer {
    const variable = this.variableSpec(name);
    const section = this.#loaded
      ? this.map(variable.map).get(Buffer.alloc(4))
      : addon.objectInitialValue(this.#handle, variable.map);
    if (section === undefined || typeof section === "number") {
      throw new BpfError({ operation: "get variable", objectName: name, errno: section ?? ENOENT });
    }
    return Buffer.from(section.subarray(variable.offset, variable.offset + variable.size));
  }

  /** A global variable's value by its BTF, as setVariable() takes it; see {@link getVariable}. */
  readVariable(name: string): unknown {
    const bytes = this.getVariable(name);
    if (this.btf === undefined) throw this.#missing("variable", name);
    return codecOf(layoutOf(this.btf, this.variableSpec(name).typeId)).decode(bytes);
  }

  resizeMap(name: string, maxEntries: number): this {
    return this.#setMap("resize map", name, "maxEntries", maxEntries);
  }

  /** Makes the map as one of another type, which programs use in the same way: an array's keys can be a hash's. */
  setMapType(name: string, type: MapType): this {
    return this.#setMap("set type of map", name, "type", MAP_TYPES.indexOf(type));
  }

  setMapFlags(name: string, flags: number): this {
    return this.#setMap("set flags of map", name, "flags", flags);
  }

  /** Whether load() makes the map. A program that uses one that is not made fails the verifier. */
  setAutocreate(name: string, on: boolean): this {
    return this.#setMap("set autocreate of map", name, "autocreate", on ? 1 : 0);
  }

  /** Lets load() take the map from this pin if it exists, and pin it there if not; undefined undoes it. */
  setPinPath(name: string, path: string | undefined): this {
    return this.#setMap("set pin path of map", name, "pinPath", path);
  }

  /** For maps of maps that do not say what they hold: a map like those. */
  setInnerMap(name: string, like: BpfMap): this {
    return this.#setMap("set inner map of", name, "innerMapFd", like.fd);
  }

  /**
   * Uses a map that exists in place of making one. Its size may differ.
   * @throws BpfError EINVAL when type, key size, value size or flags do.
   */
  reuseMap(name: string, map: BpfMap): this {
    this.#unloaded("reuse map", name);
    const spec = this.mapSpec(name);
    const info = map.info;
    const differences: string[] = [];
    const compare = (what: string, wanted: string | number, seen: string | number) => {
      if (wanted !== seen) differences.push(`${what} is ${seen}, the object wants ${wanted}`);
    };
    compare("type", spec.type, info.type);
    compare("key size", spec.keySize, info.keySize);
    compare("value size", spec.valueSize, info.valueSize);
    compare("flags", kernelFlags(spec), info.flags);
    if (differences.length > 0) throw invalid("reuse map", name, differences.join("; "));
    return this.#setMap("reuse map", name, "reuseFd", map.fd);
  }

  /** Whether load() loads the program. */
  setAutoload(program: string, on: boolean): this {
    return this.#setProgram("set autoload of", program, "autoload", on ? 1 : 0);
  }

  setProgramFlags(program: string, flags: number): this {
    return this.#setProgram("set flags of", program, "flags", flags);
  }

  setProgramType(program: string, type: ProgramType, attachType?: AttachType): this {
    this.#setProgram("set type of", program, "type", PROGRAM_TYPES.indexOf(type));
    if (attachType !== undefined) {
      this.#setProgram("set attach type of", program, "attachType", ATTACH_TYPES.indexOf(attachType));
    }
    return this;
  }

  /** For "ext" and tracing programs: the program and function that it attaches to. */
  setAttachTarget(program: string, target: BpfProgram, functionName: string): this {
    this.#unloaded("set target of", program);
    const rc = addon.objectSetProgram(this.#handle, program, "attachTarget", target.fd, functionName);
    this.#check(rc, "set target of", program, "program");
    return this;
  }

  /** How much the verifier says: 0 nothing (the whole log comes anyway on failure), 1, 2, or 4 for statistics. */
  setLogLevel(program: string, level: number): this {
    return this.#setProgram("set log level of", program, "logLevel", level);
  }

  /** Binds programs and maps to a device, for XDP offload to the NIC. */
  setOffload(ifindex: number): this {
    for (const program of this.programs) this.#setProgram("offload", program.name, "ifindex", ifindex);
    for (const map of this.maps) this.#setMap("offload", map.name, "ifindex", ifindex);
    return this;
  }

  /**
   * Makes the maps and loads the programs.
   * @throws BpfError with `verifierLog` when the verifier rejects a program; EPERM without privilege. After a failure the
   * object can only be closed.
   */
  load(): this {
    this.#unloaded("load object", this.name);
    const rc = addon.objectLoad(this.#handle);
    const log = drainLog();
    check(rc, "load object", this.name, log);
    this.#loaded = true;
    return this;
  }

  /** A loaded map. The same handle each time, the object's to close. @throws BpfError ENOENT */
  map(name: string): BpfMap {
    const handle = this.#needLoad("map", name);
    let map = this.#maps.get(name);
    if (map === undefined || map.closed) {
      const fd = addon.objectMapFd(handle, name);
      if (fd === -ENOENT) throw this.#missing("map", name);
      map = BpfMap.fromFd(check(fd, "get map", name), name);
      this.#maps.set(name, map);
    }
    return map;
  }

  /** A loaded map as typed objects, by the object's BTF. @throws BpfError ENOENT */
  typedMap<K = unknown, V = unknown>(name: string, options: TypedMapOptions<K, V> = {}): TypedMap<K, V> {
    const map = this.map(name);
    const { btfKeyTypeId: keyTypeId, btfValueTypeId: valueTypeId } = this.mapSpec(name);
    return new TypedMap(map, { types: { btf: this.btf, keyTypeId, valueTypeId }, ...options });
  }

  /** A loaded program. The same handle each time, the object's to close. @throws BpfError ENOENT; EINVAL if not loaded */
  program(name: string): BpfProgram {
    const handle = this.#needLoad("program", name);
    let program = this.#programs.get(name);
    if (program === undefined || program.closed) {
      const fd = addon.objectProgramFd(handle, name);
      if (fd === -ENOENT) throw this.#missing("program", name);
      if (fd === -EINVAL) throw invalid("get program", name, "its autoload is off");
      program = BpfProgram.fromFd(check(fd, "get program", name), name);
      this.#programs.set(name, program);
    }
    return program;
  }

  /** Closes the object and the maps and programs taken from it. Does nothing the second time. */
  close(): void {
    if (this.#handle === 0) return;
    for (const map of this.#maps.values()) map.close();
    for (const program of this.#programs.values()) program.close();
    addon.objectClose(this.#handle);
    this.#handle = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(operation: string): number {
    if (this.#handle === 0) throw closedError(operation, `object ${this.name}`);
    return this.#handle;
  }

  #unloaded(operation: string, subject: string): void {
    this.#open(operation);
    if (this.#loaded) throw invalid(operation, subject, `object ${this.name} is loaded already`);
  }

  #needLoad(kind: string, name: string): number {
    const handle = this.#open(`get ${kind}`);
    if (!this.#loaded) throw invalid(`get ${kind}`, name, `object ${this.name} is not loaded yet`);
    return handle;
  }

  #missing(kind: string, name: string): BpfError {
    return new BpfError({
      operation: `find ${kind}`,
      objectName: name,
      errno: ENOENT,
      reason: `object ${this.name} has none of that name`,
    });
  }

  #setMap(operation: string, name: string, field: string, value: number | string | undefined): this {
    this.#unloaded(operation, name);
    this.#check(addon.objectSetMap(this.#handle, name, field, value), operation, name, "map");
    return this;
  }

  #setProgram(operation: string, name: string, field: string, value: number): this {
    this.#unloaded(operation, name);
    this.#check(addon.objectSetProgram(this.#handle, name, field, value), operation, name, "program");
    return this;
  }

  #check(rc: number, operation: string, name: string, kind: string): void {
    const log = drainLog();
    if (rc === -ENOENT) throw this.#missing(kind, name);
    check(rc, operation, name, log);
  }
}

/** The flags that the kernel shows for a map made of this specification: it adds some of its own. */
function kernelFlags(spec: MapSpec): number {
  return spec.type === "devmap" || spec.type === "devmap_hash" ? spec.flags | MapFlag.readOnlyProgram : spec.flags;
}

function mapSpec(raw: AddonMapSpec): MapSpec {
  const { inner, ...rest } = raw;
  return {
    ...rest,
    type: nameIn(MAP_TYPES, raw.type),
    ...(inner === undefined ? {} : { inner: mapSpec(inner) }),
  };
}

function programSpec(raw: AddonProgramSpec): ProgramSpec {
  return { ...raw, type: nameIn(PROGRAM_TYPES, raw.type), attachType: nameIn(ATTACH_TYPES, raw.attachType) };
}

function readObjectFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).errno ?? EINVAL;
    throw new BpfError({ operation: "open object", objectName: path, errno });
  }
}
