/** A map seen as typed objects: the same map, with a codec for keys and one for values. */
import { endianness } from "node:os";
import type { Btf } from "./btf/btf.js";
import { array, type Codec, codecOf, int } from "./btf/codec.js";
import { btfById } from "./btf/kernel.js";
import { type LayoutOptions, layoutOf } from "./btf/layout.js";
import { possibleCpus } from "./cpus.js";
import type { MapType } from "./enums.js";
import { invalid } from "./error.js";
import { BpfMap, type UpdateOptions } from "./map.js";

export interface TypedMapOptions<K, V> {
  /** In place of what the map's BTF says. */
  key?: Codec<K>;
  /** In place of what the map's BTF says; of one CPU's value in per-CPU maps. */
  value?: Codec<V extends readonly (infer E)[] ? E | V : V>;
  /** Byte orders for keys where BTF does not have them. */
  keyOptions?: LayoutOptions;
  /** Byte orders for values where BTF does not have them. */
  valueOptions?: LayoutOptions;
  /** Where to find the types, in place of the kernel's BTF for the map. */
  types?: MapTypeSource;
}

const EMPTY = Buffer.alloc(0);

/**
 * Reads and writes objects. In per-CPU maps the value type V is an array, one element a possible CPU.
 *
 * ```ts
 * using flows = TypedMap.openPinned<FlowKey, Flow>("/sys/fs/bpf/flows");
 * for (const [key, flow] of flows) console.log(key.port, flow.packets);
 * ```
 */
export class TypedMap<K = unknown, V = unknown> implements Disposable {
  /** The map underneath. */
  readonly map: BpfMap;
  readonly keyCodec: Codec<K>;
  /** Of the whole value; in per-CPU maps of the array. */
  readonly valueCodec: Codec<V>;

  constructor(map: BpfMap, options: TypedMapOptions<K, V> = {}) {
    this.map = map;
    const source = options.types ?? kernelTypes(map);
    this.keyCodec = options.key ?? (codecFor(map, "key", source, options.keyOptions) as Codec<K>);
    const value = (options.value ?? codecFor(map, "value", source, options.valueOptions)) as Codec<unknown>;
    this.valueCodec = (map.perCpu ? perCpu(value, map) : value) as Codec<V>;
    this.#checkSize("key", this.keyCodec.size, map.keySize);
    this.#checkSize("value", this.valueCodec.size, map.valueStride);
  }

  /** A pin is enough: the types come from the BTF that the kernel keeps with the map. */
  static openPinned<K = unknown, V = unknown>(path: string, options: TypedMapOptions<K, V> = {}): TypedMap<K, V> {
    const map = BpfMap.openPinned(path);
    try {
      return new TypedMap(map, options);
    } catch (error) {
      map.close();
      throw error;
    }
  }

  get(key: K): V | undefined {
    const value = this.map.getPacked(this.keyCodec.encode(key));
    return value === undefined ? undefined : this.valueCodec.decode(value);
  }

  set(key: K, value: V, options: UpdateOptions = {}): void {
    this.map.setPacked(this.keyCodec.encode(key), this.valueCodec.encode(value), options);
  }

  delete(key: K): boolean {
    return this.map.delete(this.keyCodec.encode(key));
  }

  has(key: K): boolean {
    return this.map.has(this.keyCodec.encode(key));
  }

  /** Looks up and deletes in one step. */
  take(key: K): V | undefined {
    const value = this.map.takePacked(this.keyCodec.encode(key));
    return value === undefined ? undefined : this.valueCodec.decode(value);
  }

  /** Queue and stack. */
  push(value: V, options: { replace?: boolean } = {}): void {
    this.map.push(this.valueCodec.encode(value), options);
  }

  /** Queue and stack. */
  pop(): V | undefined {
    const value = this.map.pop();
    return value === undefined ? undefined : this.valueCodec.decode(value);
  }

  /** Queue and stack. */
  peek(): V | undefined {
    const value = this.map.peek();
    return value === undefined ? undefined : this.valueCodec.decode(value);
  }

  /** As safe under change as {@link BpfMap.entries}. Byte arrays in the objects are views of memory of their own. */
  *entries(): Generator<[key: K, value: V]> {
    const { keySize, valueStride } = this.map;
    for (const batch of this.map.batches()) {
      const keys = Buffer.from(batch.keys);
      const values = Buffer.from(batch.values);
      for (let i = 0; i < batch.count; i++) {
        yield [this.keyCodec.decode(keys, i * keySize), this.valueCodec.decode(values, i * valueStride)];
      }
    }
  }

  *keys(): Generator<K> {
    for (const key of this.map.keys()) yield this.keyCodec.decode(key);
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[key: K, value: V]> {
    return this.entries();
  }

  /** Sets many elements by batch. Returns how many. */
  setMany(entries: Iterable<readonly [key: K, value: V]>, options: UpdateOptions = {}): number {
    const list = [...entries];
    const keys = Buffer.alloc(list.length * this.keyCodec.size);
    const values = Buffer.alloc(list.length * this.valueCodec.size);
    list.forEach(([key, value], i) => {
      this.keyCodec.encodeInto(key, keys, i * this.keyCodec.size);
      this.valueCodec.encodeInto(value, values, i * this.valueCodec.size);
    });
    return list.length === 0 ? 0 : this.map.setBatch(keys, values, options);
  }

  /** Deletes many keys by batch. Returns how many of them were there. */
  deleteMany(keys: Iterable<K>): number {
    const packed = Buffer.concat([...keys].map((key) => this.keyCodec.encode(key)));
    return packed.length === 0 ? 0 : this.map.deleteBatch(packed);
  }

  /** Closes the map underneath. */
  close(): void {
    this.map.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #checkSize(what: string, codec: number, map: number): void {
    if (codec !== map) {
      throw invalid("type map", `map ${this.map.name}`, `its ${what}s have ${map} bytes, the codec has ${codec}`);
    }
  }
}

/** Where a map's types are described: the kernel's BTF for it, or the object's that it was made from. */
export interface MapTypeSource {
  btf: Btf | undefined;
  keyTypeId: number;
  valueTypeId: number;
}

/** The kernel keeps no BTF for some kinds of maps (queues, maps of maps, device maps): then there is none here either. */
function kernelTypes(map: BpfMap): MapTypeSource {
  const { btfId, btfKeyTypeId, btfValueTypeId } = map.info;
  return {
    btf: btfId === 0 ? undefined : btfById(btfId),
    keyTypeId: btfKeyTypeId,
    valueTypeId: btfValueTypeId,
  };
}

function codecFor(map: BpfMap, what: "key" | "value", source: MapTypeSource, options?: LayoutOptions): Codec<unknown> {
  const size = what === "key" ? map.keySize : map.valueSize;
  const typeId = what === "key" ? source.keyTypeId : source.valueTypeId;
  if (what === "key" && size === 0) return noKey;
  if (source.btf !== undefined && typeId !== 0) return codecOf(layoutOf(source.btf, typeId, options));
  const plain = what === "key" ? INDEXED.has(map.type) : HOLDS_ID.has(map.type);
  if (plain && size === 4) return int(4, false, endianness() === "LE" ? "le" : "be") as Codec<unknown>;
  throw invalid("type map", `map ${map.name}`, `the kernel has no BTF for its ${what}s: give a codec`);
}

/** Maps whose keys are indices. */
const INDEXED: ReadonlySet<MapType> = new Set<MapType>([
  "array",
  "percpu_array",
  "prog_array",
  "array_of_maps",
  "devmap",
  "devmap_hash",
  "cpumap",
  "xskmap",
]);

/** Maps whose values are ids of programs, maps or interfaces when read, and descriptors (or indices) when written. */
const HOLDS_ID: ReadonlySet<MapType> = new Set<MapType>([
  "prog_array",
  "array_of_maps",
  "hash_of_maps",
  "devmap",
  "devmap_hash",
]);

/** What queues and stacks have for keys. */
const noKey: Codec<unknown> = {
  size: 0,
  decode: () => undefined,
  encodeInto: () => undefined,
  encode: () => EMPTY,
};

/** One value a CPU, each rounded up to 8 bytes as the kernel packs them. */
function perCpu(value: Codec<unknown>, map: BpfMap): Codec<unknown> {
  const count = possibleCpus();
  const stride = map.valueStride / count;
  if (value.size === stride || value.size === map.valueStride)
    return value.size === stride ? array(count, value) : value;
  if (value.size !== map.valueSize) return value;
  return array(count, {
    size: stride,
    decode: (bytes, offset = 0) => value.decode(bytes, offset),
    encodeInto: (element, bytes, offset = 0) => {
      bytes.fill(0, offset, offset + stride);
      value.encodeInto(element, bytes, offset);
    },
    encode: (element) => Buffer.concat([value.encode(element)], stride),
  });
}
