/** A BPF map by its file descriptor: single elements, info, pins. Bulk access is in map-batch.ts and map-iterate.ts. */
import { addon } from "./addon.js";
import { possibleCpus } from "./cpus.js";
import { isPerCpu, MAP_TYPES, type MapType, numberIn } from "./enums.js";
import { EEXIST, ENOENT } from "./errno.js";
import { BpfError, check, invalid } from "./error.js";
import { FdHandle, openPin } from "./handle.js";
import { fdById, fdByName } from "./ids.js";
import { type MapInfo, readMapInfo } from "./info.js";
import { type Batch, type BatchOptions, deleteBatch, readBatches, updateBatch } from "./map-batch.js";
import { iterateEntries, iterateKeys } from "./map-iterate.js";

/** When an update may happen: always, only if the key is new, only if the key is there. */
export type UpdateFlag = "any" | "noexist" | "exist";

/** @internal */
export const UPDATE_FLAGS: Record<UpdateFlag, number> = { any: 0, noexist: 1, exist: 2 };

export interface UpdateOptions {
  flag?: UpdateFlag;
}

export interface MapCreateOptions {
  type: MapType;
  /** At most 15 bytes; letters, digits, "_" and ".". */
  name?: string;
  /** Bytes; 0 for queues, stacks and ring buffers. */
  keySize: number;
  /** Bytes. */
  valueSize: number;
  /** Elements; bytes for a ring buffer (a power of two, a multiple of the page size). */
  maxEntries: number;
  /** `BPF_F_*` bits, see {@link MapFlag}. An LPM trie needs noPrealloc. */
  flags?: number;
  /** For maps of maps: a map like those that it will hold. */
  innerMap?: BpfMap;
  numaNode?: number;
  /** Offloads the map to this device. */
  ifindex?: number;
  mapExtra?: number;
}

/**
 * A BPF map: Buffers in, Buffers out. See {@link TypedMap} for objects.
 *
 * ```ts
 * using map = BpfMap.create({ type: "hash", name: "m", keySize: 4, valueSize: 8, maxEntries: 1000 });
 * map.set(key, value, { flag: "noexist" });
 * ```
 */
export class BpfMap extends FdHandle {
  #info: MapInfo;
  readonly #keySize: number;
  readonly #valueSize: number;
  readonly #valueStride: number;
  readonly #perCpu: boolean;

  private constructor(fd: number, label: string, pinPath?: string) {
    super(fd, pinPath);
    try {
      this.#info = readMapInfo(fd, label);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#keySize = this.#info.keySize;
    this.#valueSize = this.#info.valueSize;
    this.#perCpu = isPerCpu(this.#info.type);
    this.#valueStride = this.#perCpu ? perCpuStride(this.#valueSize) * possibleCpus() : this.#valueSize;
  }

  /** Makes a map. It lives as long as a handle, a pin or a program holds it. */
  static create(options: MapCreateOptions): BpfMap {
    const { type, name = "", keySize, valueSize, maxEntries, innerMap, ...extra } = options;
    const fd = addon.mapCreate(numberIn(MAP_TYPES, type), name, keySize, valueSize, maxEntries, {
      ...extra,
      innerMapFd: innerMap?.fd,
    });
    return new BpfMap(check(fd, `create ${type} map`, name || undefined), name);
  }

  /** @throws BpfError ENOENT when there is no such pin; EINVAL when the pin is not a map. */
  static openPinned(path: string, options: { readOnly?: boolean } = {}): BpfMap {
    return new BpfMap(openPin("map", path, options.readOnly ? 1 << 3 : 0), path, path);
  }

  static openById(id: number): BpfMap {
    return new BpfMap(fdById("map", id), `map ${id}`);
  }

  /** By the kernel's name for it (at most 15 bytes). ENOENT when none or several have it. */
  static openByName(name: string): BpfMap {
    return new BpfMap(
      fdByName("map", name, (fd) => readMapInfo(fd, name).name),
      name,
    );
  }

  /** @internal Takes over a descriptor. */
  static fromFd(fd: number, label: string): BpfMap {
    return new BpfMap(fd, label);
  }

  /** A second handle of the same map, to be closed on its own. */
  clone(): BpfMap {
    return new BpfMap(this.duplicateFd(), this.label);
  }

  protected override get label(): string {
    return `map ${this.name}`;
  }

  get name(): string {
    return this.#info.name;
  }

  get type(): MapType {
    return this.#info.type;
  }

  /** Bytes. */
  get keySize(): number {
    return this.#keySize;
  }

  /** Bytes; of one CPU's value in per-CPU maps. */
  get valueSize(): number {
    return this.#valueSize;
  }

  get maxEntries(): number {
    return this.#info.maxEntries;
  }

  /** Whether each key has a value for each possible CPU: use getPerCpu() and its like then. */
  get perCpu(): boolean {
    return this.#perCpu;
  }

  /** Bytes that one element's value takes in batch buffers: of all CPUs, each rounded up to 8, in per-CPU maps. */
  get valueStride(): number {
    return this.#valueStride;
  }

  /** What the kernel says of the map, read anew. */
  get info(): MapInfo {
    this.#info = readMapInfo(this.fd, this.label);
    return this.#info;
  }

  /** The value of a key, or undefined. */
  get(key: Uint8Array): Buffer | undefined {
    this.#single("get from");
    return this.getPacked(key);
  }

  /**
   * Sets the value of a key.
   * @throws BpfError EEXIST ("noexist" and it exists), ENOENT ("exist" and it does not), E2BIG (no room, or an array's
   * index too large).
   */
  set(key: Uint8Array, value: Uint8Array, options: UpdateOptions = {}): void {
    this.#single("set in");
    this.setPacked(key, value, options);
  }

  /** Deletes a key. False when it was not there. */
  delete(key: Uint8Array): boolean {
    this.#checkKey(key, "delete from");
    const rc = addon.mapDelete(this.fd, key);
    if (rc === -ENOENT) return false;
    this.#done(rc, "delete from");
    return true;
  }

  has(key: Uint8Array): boolean {
    return this.getPacked(key) !== undefined;
  }

  /** Looks up and deletes in one step; undefined when the key was not there. */
  take(key: Uint8Array): Buffer | undefined {
    this.#single("take from");
    return this.takePacked(key);
  }

  /** The values of a key, one for each possible CPU, or undefined. */
  getPerCpu(key: Uint8Array): Buffer[] | undefined {
    this.#multiple("get from");
    const packed = this.getPacked(key);
    return packed === undefined ? undefined : splitPerCpu(packed, this.#valueSize);
  }

  /** Sets the value of a key on every possible CPU. */
  setPerCpu(key: Uint8Array, values: readonly Uint8Array[], options: UpdateOptions = {}): void {
    this.#multiple("set in");
    this.setPacked(key, this.packPerCpu(values), options);
  }

  /** Looks up and deletes a key of a per-CPU map. */
  takePerCpu(key: Uint8Array): Buffer[] | undefined {
    this.#multiple("take from");
    const packed = this.takePacked(key);
    return packed === undefined ? undefined : splitPerCpu(packed, this.#valueSize);
  }

  /** @internal Values here and below are of valueStride bytes, for per-CPU maps and others alike. */
  getPacked(key: Uint8Array): Buffer | undefined {
    this.#checkKey(key, "get from");
    const value = Buffer.allocUnsafe(this.valueStride);
    const rc = addon.mapLookup(this.fd, key, value, 0);
    return rc === 0 ? value : this.#absent(rc, "get from");
  }

  /** @internal */
  setPacked(key: Uint8Array, value: Uint8Array, options: UpdateOptions): void {
    this.#checkKey(key, "set in");
    this.#checkValue(value, this.valueStride, "set in");
    this.#done(addon.mapUpdate(this.fd, key, value, UPDATE_FLAGS[options.flag ?? "any"]), "set in");
  }

  /** @internal */
  takePacked(key: Uint8Array): Buffer | undefined {
    this.#checkKey(key, "take from");
    const value = Buffer.allocUnsafe(this.valueStride);
    const rc = addon.mapTake(this.fd, key, value, 0);
    return rc === 0 ? value : this.#absent(rc, "take from");
  }

  /** One value a CPU as the kernel wants them: in one piece, each rounded up to 8 bytes. */
  packPerCpu(values: readonly Uint8Array[]): Buffer {
    if (values.length !== possibleCpus()) {
      throw invalid(
        "set in",
        this.label,
        `expected ${possibleCpus()} values (one a possible CPU), got ${values.length}`,
      );
    }
    const stride = perCpuStride(this.#valueSize);
    const packed = Buffer.alloc(stride * values.length);
    values.forEach((value, cpu) => {
      this.#checkValue(value, this.#valueSize, "set in");
      packed.set(value, cpu * stride);
    });
    return packed;
  }

  /** One element's part of a batch's values as one value a CPU. The Buffers are views. */
  unpackPerCpu(packed: Buffer): Buffer[] {
    return splitPerCpu(packed, this.#valueSize);
  }

  /** Queue and stack: adds a value. E2BIG when full, unless `replace` drops the oldest. */
  push(value: Uint8Array, options: { replace?: boolean } = {}): void {
    this.#checkValue(value, this.#valueSize, "push to");
    this.#done(addon.mapUpdate(this.fd, undefined, value, options.replace ? UPDATE_FLAGS.exist : 0), "push to");
  }

  /** Queue and stack: takes the next value, or undefined when empty. */
  pop(): Buffer | undefined {
    const value = Buffer.allocUnsafe(this.#valueSize);
    const rc = addon.mapTake(this.fd, undefined, value, 0);
    if (rc === 0) return value;
    return this.#absent(rc, "pop from");
  }

  /** Queue and stack: the next value without taking it. Bloom filters cannot: see {@link contains}. */
  peek(): Buffer | undefined {
    const value = Buffer.allocUnsafe(this.#valueSize);
    const rc = addon.mapLookup(this.fd, undefined, value, 0);
    if (rc === 0) return value;
    return this.#absent(rc, "peek into");
  }

  /** Bloom filter: false when the value was certainly never pushed. */
  contains(value: Uint8Array): boolean {
    this.#checkValue(value, this.#valueSize, "look into");
    const rc = addon.mapLookup(this.fd, undefined, value, 0);
    if (rc === 0) return true;
    this.#absent(rc, "look into");
    return false;
  }

  /**
   * All keys. Safe while others change the map: ends, yields no key twice, and none is missed that was there throughout.
   * The Buffers are the caller's.
   */
  keys(): Generator<Buffer> {
    return iterateKeys(this);
  }

  /** All keys with their values, as safe as {@link keys}. Not for per-CPU maps. */
  *entries(): Generator<[key: Buffer, value: Buffer]> {
    this.#single("iterate");
    yield* iterateEntries(this);
  }

  /** All keys with a value for each CPU. */
  *entriesPerCpu(): Generator<[key: Buffer, values: Buffer[]]> {
    this.#multiple("iterate");
    for (const [key, packed] of iterateEntries(this)) yield [key, splitPerCpu(packed, this.#valueSize)];
  }

  *values(): Generator<Buffer> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[key: Buffer, value: Buffer]> {
    return this.entries();
  }

  /**
   * Reads the map in pieces, many elements a system call: keys and values packed one behind the other (a value takes
   * {@link valueStride} bytes). Falls back to single calls where the kernel has no batch form for the map's type. The
   * Buffers are used again for the next piece: copy what is to be kept.
   */
  batches(options: BatchOptions = {}): Generator<Batch> {
    return readBatches(this, options, false);
  }

  /** Reads the whole map at once. */
  getBatch(options: BatchOptions = {}): Batch {
    return collect(this, readBatches(this, options, false));
  }

  /** Reads and deletes the whole map at once (hash kinds). */
  takeBatch(options: BatchOptions = {}): Batch {
    return collect(this, readBatches(this, options, true));
  }

  /**
   * Sets many elements: keys and values packed one behind the other, or as lists. Returns how many.
   * On failure the elements before the one that failed are set.
   */
  setBatch(
    keys: Uint8Array | readonly Uint8Array[],
    values: Uint8Array | readonly Uint8Array[],
    options: UpdateOptions = {},
  ): number {
    return updateBatch(this, packed(keys), packed(values), UPDATE_FLAGS[options.flag ?? "any"]);
  }

  /** Deletes many keys, packed or as a list. Returns how many of them were there. */
  deleteBatch(keys: Uint8Array | readonly Uint8Array[]): number {
    return deleteBatch(this, packed(keys));
  }

  /**
   * The memory of an array that was made with the flag mmapable, as programs write it: element by element, each rounded up to
   * 8 bytes. No copy is made. It is there to be read: a write ends the process. What a program is just writing is seen in
   * halves. It stays mapped as long as anything refers to it, also when the map is closed.
   * @throws BpfError EINVAL, ENOTSUPP when the map cannot be mapped
   */
  memory(): ArrayBuffer {
    const memory = addon.mapMemory(this.fd, this.maxEntries * perCpuStride(this.#valueSize));
    if (typeof memory !== "number") return memory;
    throw new BpfError({ operation: "map memory of", objectName: this.label, errno: memory });
  }

  /** Forbids changes from user space, for ever. Programs may go on writing, unless the map's flags forbid that too. */
  freeze(): void {
    check(addon.mapFreeze(this.fd), "freeze", this.label);
  }

  #done(rc: number, operation: string): void {
    if (rc < 0) {
      throw new BpfError({
        operation,
        objectName: this.label,
        errno: rc,
        reason: rc === -EEXIST ? "the key exists" : rc === -ENOENT ? "no such key" : undefined,
      });
    }
  }

  #absent(rc: number, operation: string): undefined {
    if (rc !== -ENOENT) throw new BpfError({ operation, objectName: this.label, errno: rc });
    return undefined;
  }

  #checkKey(key: Uint8Array, operation: string): void {
    if (key.byteLength !== this.#keySize) {
      throw invalid(operation, this.label, `expected a key of ${this.#keySize} bytes, got ${key.byteLength}`);
    }
  }

  #checkValue(value: Uint8Array, size: number, operation: string): void {
    if (value.byteLength !== size) {
      throw invalid(operation, this.label, `expected a value of ${size} bytes, got ${value.byteLength}`);
    }
  }

  #single(operation: string): void {
    if (this.#perCpu) {
      throw invalid(operation, this.label, `a ${this.type} map has a value for each CPU: use the PerCpu methods`);
    }
  }

  #multiple(operation: string): void {
    if (!this.#perCpu) throw invalid(operation, this.label, `a ${this.type} map is not per CPU`);
  }
}

/** Bytes that one CPU's value, or one of an array, takes: the kernel rounds up to 8. */
function perCpuStride(valueSize: number): number {
  return Math.ceil(valueSize / 8) * 8;
}

function splitPerCpu(packed: Buffer, valueSize: number): Buffer[] {
  const stride = perCpuStride(valueSize);
  return Array.from({ length: packed.length / stride }, (_, cpu) =>
    packed.subarray(cpu * stride, cpu * stride + valueSize),
  );
}

function packed(bytes: Uint8Array | readonly Uint8Array[]): Uint8Array {
  return bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes);
}

function collect(map: BpfMap, pieces: Generator<Batch>): Batch {
  const keys: Buffer[] = [];
  const values: Buffer[] = [];
  let count = 0;
  for (const piece of pieces) {
    keys.push(Buffer.from(piece.keys));
    values.push(Buffer.from(piece.values));
    count += piece.count;
  }
  return {
    keys: keys.length === 1 && keys[0] ? keys[0] : Buffer.concat(keys, count * map.keySize),
    values: values.length === 1 && values[0] ? values[0] : Buffer.concat(values, count * map.valueStride),
    count,
  };
}
