/** A map's elements as JSON text with the keys and values of `bpftool -j map dump` and `map lookup`. */
import { btfById } from "../btf/kernel.js";
import type { BpfMap } from "../map.js";
import { bytesToJson, type ToJson, typeToJson } from "./type-json.js";

/**
 * An element without its closing brace, so that keys may be added. Key and value lie in the Buffers as in a {@link Batch}:
 * the value takes {@link BpfMap.valueStride} bytes.
 */
export type ElementToJson = (keys: Buffer, keyOffset: number, values: Buffer, valueOffset: number) => string;

/** Compiled once for a map. Elements of maps whose types the kernel knows have `formatted`, too. */
export function elementToJson(map: BpfMap): ElementToJson {
  const { keySize } = map;
  const raw = valuesOf(map, (bytes, offset) => bytesToJson(bytes, offset, map.valueSize));
  const formatted = formattedOf(map);
  return (keys, keyOffset, values, valueOffset) => {
    const text = `{"key":${bytesToJson(keys, keyOffset, keySize)},${raw(values, valueOffset)}`;
    return formatted === undefined ? text : `${text},"formatted":{${formatted(keys, keyOffset, values, valueOffset)}}`;
  };
}

/** Whether the kernel knows the types of a map's elements. */
export const isTyped = ({ info }: BpfMap): boolean => info.btfId !== 0 && info.btfValueTypeId !== 0;

function formattedOf(map: BpfMap): ElementToJson | undefined {
  if (!isTyped(map)) return undefined;
  const { btfId, btfKeyTypeId, btfValueTypeId } = map.info;
  const btf = btfById(btfId);
  // A section of variables has no key of its own.
  const key = btfKeyTypeId === 0 ? undefined : typeToJson(btf, btfKeyTypeId);
  const value = valuesOf(map, typeToJson(btf, btfValueTypeId));
  return (keys, keyOffset, values, valueOffset) =>
    `${key === undefined ? "" : `"key":${key(keys, keyOffset)},`}${value(values, valueOffset)}`;
}

/** `"value":…`, or `"values":[{"cpu":0,"value":…},…]`. */
export function valuesOf(map: BpfMap, toJson: ToJson): ToJson {
  if (!map.perCpu) return (bytes, offset) => `"value":${toJson(bytes, offset)}`;
  const stride = Math.ceil(map.valueSize / 8) * 8;
  const cpus = map.valueStride / stride;
  return (bytes, offset) => {
    const parts: string[] = [];
    for (let cpu = 0; cpu < cpus; cpu++) parts.push(`{"cpu":${cpu},"value":${toJson(bytes, offset + cpu * stride)}}`);
    return `"values":[${parts.join(",")}]`;
  };
}
