/** Elements of a map as JSON texts, one after the other: a table is never in memory as a whole. */

import {
  BpfMap,
  type Btf,
  btfById,
  bytesToJson,
  type ElementToJson,
  elementToJson,
  isTyped,
  typeToJson,
} from "libbpf-ts";
import { XgwError } from "../../errors.js";
import { flowWays, type LineFields, readStableBuckets } from "../flow-table.js";
import { u32 } from "../layout.js";
import { parseKey } from "./key.js";
import type { Names } from "./kinds.js";
import { isZero, typeInWords, wordsOf } from "./words.js";

/** One that is to be closed. */
export interface OpenMap {
  readonly map: BpfMap;
  /** xgw's whole name of it; undefined when it is not xgw's. */
  readonly owned?: string;
  readonly names: Names;
}

/** What a reader gets of each element. */
export type Form =
  /** bpftool's JSON, with `xgw` for what is xgw's. */
  | "json"
  /** JSON in words, for people: of maps of others bpftool's `formatted`. */
  | "words"
  /** `key: … value: …`, of maps whose types nobody knows. */
  | "hex";

export interface DumpOptions {
  readonly form: Form;
  /** Elements of arrays that are all zero are left out. */
  readonly isUsedOnly: boolean;
}

export const openMap = (where: { readonly id: number } | { readonly pin: string }): BpfMap =>
  "id" in where ? BpfMap.openById(where.id) : BpfMap.openPinned(where.pin, { readOnly: true });

/** Whether people can read more of it than bytes. */
export const hasWords = ({ map, owned, names }: OpenMap): boolean =>
  isTyped(map) || (owned !== undefined && wordsOf(map, owned, names) !== undefined);

/** Of a map from which programs write and user space reads once, there is nothing to dump. */
const isStream = ({ type }: BpfMap) => type === "ringbuf" || type === "user_ringbuf" || type === "perf_event_array";

/** @throws XgwError for maps that cannot be read without taking from them */
export function* dump(open: OpenMap, options: DumpOptions): Generator<string> {
  const { map } = open;
  if (isStream(map)) return;
  if (map.keySize === 0)
    throw new XgwError(`map ${map.name} is a ${map.type}: to read it is to take from it`, {
      remedy: "look into a map with keys",
    });
  const lines = flowLines(open, options.form);
  if (lines) return yield* lines;
  const element = elementIn(open, options.form);
  const { keySize, valueStride } = map;
  const skipsZero = options.isUsedOnly && map.type.endsWith("array");
  for (const { keys, values, count } of map.batches({ size: batchSize(map) }))
    for (let i = 0; i < count; i++) {
      if (skipsZero && isZero(values, i * valueStride, valueStride)) continue;
      yield element(keys, i * keySize, values, i * valueStride);
    }
}

/** The element of a key, or undefined. */
export function lookUp(open: OpenMap, words: readonly string[], form: Form): { key: Buffer; element?: string } {
  const { map, owned, names } = open;
  const key = parseKey(map, owned ?? map.name, words, names);
  const value = map.perCpu ? map.getPerCpu(key) : map.get(key);
  if (value === undefined) return { key };
  const packed = Array.isArray(value) ? map.packPerCpu(value) : value;
  return { key, element: elementIn(open, form)(key, 0, packed, 0) };
}

/** Half a megabyte at a time. */
const batchSize = (map: BpfMap) => Math.max(1, Math.floor(524_288 / (map.keySize + map.valueStride)));

function elementIn({ map, owned, names }: OpenMap, form: Form): ElementToJson {
  if (form === "hex") return hexElement(map);
  const words = owned === undefined ? undefined : wordsOf(map, owned, names);
  const json = elementToJson(map);
  if (form === "json")
    return words
      ? (k, kAt, v, vAt) => `${json(k, kAt, v, vAt)},"xgw":{${words(k, kAt, v, vAt)}}}`
      : (k, kAt, v, vAt) => `${json(k, kAt, v, vAt)}}`;
  if (words) return (k, kAt, v, vAt) => `{${words(k, kAt, v, vAt)}}`;
  // bpftool's text has of a typed map what its JSON has under `formatted`.
  const formatted = '"formatted":';
  return (k, kAt, v, vAt) => {
    const text = json(k, kAt, v, vAt);
    return text.slice(text.indexOf(formatted) + formatted.length);
  };
}

/** Of up to 24 bytes on one line; 16 bytes a line, else. */
function hexElement(map: BpfMap): ElementToJson {
  const { keySize, valueSize, valueStride, perCpu } = map;
  const stride = Math.ceil(valueSize / 8) * 8;
  return (keys, keyAt, values, valueAt) => {
    const key = hexText(keys.subarray(keyAt, keyAt + keySize));
    if (perCpu) {
      const cpus = Array.from({ length: valueStride / stride }, (_, cpu) => {
        const at = valueAt + cpu * stride;
        return `value (CPU ${String(cpu).padStart(2, "0")}):\n${hexText(values.subarray(at, at + valueSize))}`;
      });
      return `key:\n${key}\n${cpus.join("\n")}`;
    }
    const value = hexText(values.subarray(valueAt, valueAt + valueSize));
    return keySize + valueSize <= 24 ? `key: ${key}  value: ${value}` : `key:\n${key}\nvalue:\n${value}`;
  };
}

export const hexText = (bytes: Buffer): string =>
  Array.from(bytes, (byte, at) => {
    const gap = at === 0 ? "" : at % 16 === 0 ? "\n" : at % 8 === 0 ? "  " : " ";
    return `${gap}${byte.toString(16).padStart(2, "0")}`;
  }).join("");

/**
 * The flow table by its lines instead of by its buckets, of which each would be 32 lines, most of them empty. Undefined for
 * other maps. `key` is the bucket.
 */
function flowLines({ map, owned, names }: OpenMap, form: Form): Generator<string> | undefined {
  if (owned !== "flows" || !isTyped(map)) return undefined;
  const btf = btfById(map.info.btfId);
  const line = btf.find("xgw_flow", "struct");
  const fields = line && lineFields(btf, line.id);
  return fields && linesOf(map, fields, lineForm(btf, line.id, fields.bytes, names, form));
}

type LineForm = (bytes: Buffer, at: number, bucket: number) => string;

function* linesOf(map: BpfMap, fields: LineFields, form: LineForm): Generator<string> {
  for (const [bytes, at, bucket] of readStableBuckets(map, fields)) yield form(bytes, at, bucket);
}

function lineForm(btf: Btf, type: number, size: number, names: Names, form: Form): LineForm {
  const words = typeInWords(btf, type, "", names);
  const formatted = typeToJson(btf, type);
  const place = (at: number) => Math.floor(at / size) % flowWays;
  if (form !== "json") return (bytes, at, bucket) => `{"key":${bucket},"way":${place(at)},"value":${words(bytes, at)}}`;
  return (bytes, at, bucket) =>
    `{"key":${bytesToJson(u32(bucket), 0, 4)},"value":${bytesToJson(bytes, at, size)},` +
    `"formatted":{"key":${bucket},"value":${formatted(bytes, at)}},` +
    `"xgw":{"key":${bucket},"way":${place(at)},"value":${words(bytes, at)}}}`;
}

/** As the map's own version of xgw had them. */
function lineFields(btf: Btf, type: number): LineFields | undefined {
  const line = btf.resolve(type);
  const key = btf.find("xgw_flow_key", "struct");
  if (line.kind !== "struct" || key?.kind !== "struct") return undefined;
  const offsetOf = (members: readonly { name: string; bitOffset: number }[], name: string) =>
    (members.find((member) => member.name === name)?.bitOffset ?? Number.NaN) / 8;
  const protocol = offsetOf(line.members, "key") + offsetOf(key.members, "protocol");
  const sequence = offsetOf(line.members, "sequence");
  return Number.isNaN(protocol + sequence) ? undefined : { bytes: line.size, protocol, sequence };
}
