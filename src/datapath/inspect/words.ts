/**
 * Elements of xgw's maps in words: addresses as addresses, tenants, devices and reasons by name. Padding and locks are left out.
 * Compiled once for a map from its types in BTF, and fast then.
 */

import { type BpfMap, type Btf, btfById, type ToJson, typeToJson, valuesOf } from "libbpf-ts";
import { readU32 } from "../layout.js";
import { reasons } from "../reasons.js";
import { type Kind, type KindName, kinds, type Names } from "./kinds.js";
import { fieldKinds } from "./meanings.js";

/** A field of a key, on which nothing lies but itself. */
export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** Missing for plain numbers. */
  readonly kind?: Kind;
  /** Of a key that is a prefix. */
  readonly bitsBefore?: number;
}

/** `"key":…,"value":…` of an element; undefined for maps whose types nobody knows. */
export function wordsOf(map: BpfMap, name: string, names: Names): ToJsonPair | undefined {
  const { btfId, btfKeyTypeId, btfValueTypeId } = map.info;
  if (btfId === 0 || btfValueTypeId === 0) return untyped(map, name, names);
  const btf = btfById(btfId);
  const key = btfKeyTypeId === 0 ? undefined : typeInWords(btf, btfKeyTypeId, `${name}/key`, names);
  const value = valuesOf(map, typeInWords(btf, btfValueTypeId, `${name}/value`, names));
  return (keys, keyAt, values, valueAt) => `${key ? `"key":${key(keys, keyAt)},` : ""}${value(values, valueAt)}`;
}

export type ToJsonPair = (keys: Buffer, keyAt: number, values: Buffer, valueAt: number) => string;

/** Of maps of devices the kernel keeps no types. */
function untyped(map: BpfMap, name: string, names: Names): ToJsonPair | undefined {
  const [key, value] = [kindOf(`${name}/key`), kindOf(`${name}/value`)];
  if (!key || !value || map.keySize !== 4 || map.valueSize !== 4) return undefined;
  return (keys, keyAt, values, valueAt) =>
    `"key":${key.show(keys, keyAt, names)},"value":${value.show(values, valueAt, names)}`;
}

function kindOf(path: string): Kind | undefined {
  const name = fieldKinds[path] as KindName | undefined;
  return name === undefined ? undefined : kinds[name];
}

/** @param path by which meanings.ts knows what is no struct */
export function typeInWords(btf: Btf, id: number, path: string, names: Names): ToJson {
  const kind = kindOf(path);
  if (kind) return (bytes, at) => kind.show(bytes, at, names);
  const type = btf.resolve(id);
  if (type.kind === "array") return arrayInWords(btf, type, path, names);
  if (type.kind !== "struct") return typeToJson(btf, id);
  const members = type.members.filter(({ name, type: member }) => !isHidden(btf, name, member));
  const parts = members.map((member) => ({
    name: `${JSON.stringify(member.name)}:`,
    toJson: memberInWords(btf, type, member, names),
  }));
  return (bytes, at) => {
    let text = "";
    for (const { name, toJson } of parts) text += `${text === "" ? "" : ","}${name}${toJson(bytes, at)}`;
    return `{${text}}`;
  };
}

const isHidden = (btf: Btf, name: string, type: number) =>
  /^pad$/.test(name) || btf.resolve(type).name === "bpf_spin_lock" || name === "prefixlen";

type Struct = Extract<ReturnType<Btf["resolve"]>, { kind: "struct" | "union" }>;

function memberInWords(btf: Btf, struct: Struct, member: Struct["members"][number], names: Names): ToJson {
  const path = `${struct.name}.${member.name}`;
  const offset = member.bitOffset / 8;
  const kind = kindOf(path);
  const hasLength = struct.members[0]?.name === "prefixlen";
  if (!kind || !hasLength) {
    const inner = typeInWords(btf, member.type, path, names);
    return (bytes, at) => inner(bytes, at + offset);
  }
  const size = 8 * btf.sizeOf(member.type);
  const before = member.bitOffset - 32;
  return (bytes, at) => {
    const bits = Math.min(size, Math.max(0, readU32(bytes.subarray(at, at + 4), 0) - before));
    return kind.show(bytes, at + offset, names, bits);
  };
}

type ArrayType = Extract<ReturnType<Btf["resolve"]>, { kind: "array" }>;

/** enum xgw_tier */
const tierNames = ["xdp", "flowtable", "stack"] as const;
const indexNames: Readonly<Record<string, readonly string[]>> = {
  "xgw_reason_counters.reasons": reasons.map(({ name }) => name),
  "xgw_rule_counters.tiers": tierNames,
};

/** Of counters by name, and of places for flows, what is empty is left out. */
function arrayInWords(btf: Btf, { element, count }: ArrayType, path: string, names: Names): ToJson {
  const size = btf.sizeOf(element);
  const item = typeInWords(btf, element, path, names);
  const named = indexNames[path];
  const skipsEmpty = named !== undefined || path === "xgw_flow_bucket.ways";
  return (bytes, at) => {
    const parts: string[] = [];
    for (let i = 0; i < count; i++) {
      const from = at + i * size;
      if (skipsEmpty && isZero(bytes, from, size)) continue;
      const text = item(bytes, from);
      parts.push(named ? `${JSON.stringify(named[i] ?? `#${i}`)}:${text}` : text);
    }
    return named ? `{${parts.join(",")}}` : `[${parts.join(",")}]`;
  };
}

export function isZero(bytes: Buffer, from: number, length: number): boolean {
  for (let at = from; at < from + length; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** The fields that a key is made of, in their order; empty when its types are unknown. */
export function keyFields(map: BpfMap, name: string): Field[] {
  const { btfId, btfKeyTypeId } = map.info;
  if (btfId === 0 || btfKeyTypeId === 0) return scalarField(`${name}/key`, map.keySize);
  const btf = btfById(btfId);
  const type = btf.resolve(btfKeyTypeId);
  return type.kind === "struct" ? structFields(btf, type, 0) : scalarField(`${name}/key`, map.keySize);
}

function scalarField(path: string, size: number): Field[] {
  if (![1, 2, 4].includes(size)) return [];
  const kind = kindOf(path);
  return [{ name: "key", offset: 0, size, ...(kind ? { kind } : {}) }];
}

function structFields(btf: Btf, struct: Struct, start: number): Field[] {
  const hasLength = struct.members[0]?.name === "prefixlen";
  return struct.members.flatMap((member): Field[] => {
    if (isHidden(btf, member.name, member.type)) return [];
    const offset = start + member.bitOffset / 8;
    const type = btf.resolve(member.type);
    const kind = kindOf(`${struct.name}.${member.name}`);
    if (type.kind === "struct" && !kind) return structFields(btf, type, offset);
    return [
      {
        name: member.name,
        offset,
        size: btf.sizeOf(member.type),
        ...(kind ? { kind } : {}),
        ...(hasLength ? { bitsBefore: member.bitOffset - 32 } : {}),
      },
    ];
  });
}
