/** An object's global variables: where they lie, and their values as bytes. */
import type { AddonMapSpec } from "./addon.js";
import type { Btf } from "./btf/btf.js";
import { invalid } from "./error.js";

export interface VariableSpec {
  name: string;
  /** Its section: ".rodata" (constants; can be set until the load), ".data", ".bss", ... */
  section: string;
  /** The map that holds the section. */
  map: string;
  /** Bytes from the start of the section. */
  offset: number;
  /** Bytes. */
  size: number;
  /** Its id in the object's BTF. */
  typeId: number;
}

/** The variables of all sections that have a map. */
export function listVariables(btf: Btf | undefined, maps: readonly AddonMapSpec[]): VariableSpec[] {
  const variables: VariableSpec[] = [];
  for (const section of btf?.types() ?? []) {
    if (section.kind !== "datasec") continue;
    // libbpf names the map after object and section, such as "xgw.rodata", or after the section alone.
    const map = maps.find((m) => m.internal && (m.name === section.name || m.name.endsWith(section.name)));
    if (map === undefined) continue;
    for (const { type: id, offset, size } of section.variables) {
      const variable = btf?.type(id);
      if (variable?.kind !== "var") continue;
      variables.push({
        name: variable.name,
        section: section.name,
        map: map.name,
        offset,
        size,
        typeId: variable.type,
      });
    }
  }
  return variables;
}

/** A value as the bytes of the variable's type. */
export function variableBytes(
  btf: Btf,
  variable: VariableSpec,
  value: number | bigint | boolean | Uint8Array,
): Uint8Array {
  const operation = "set variable";
  if (value instanceof Uint8Array) {
    if (value.byteLength !== variable.size) {
      throw invalid(operation, variable.name, `expected ${variable.size} bytes, got ${value.byteLength}`);
    }
    return value;
  }
  const type = btf.resolve(variable.typeId);
  if (type.kind !== "int" && type.kind !== "enum" && type.kind !== "enum64") {
    throw invalid(operation, variable.name, `a ${type.kind} takes a Buffer of ${variable.size} bytes`);
  }
  if (typeof value === "number" && !Number.isInteger(value)) {
    throw invalid(operation, variable.name, `${value} is no integer`);
  }
  const bits = type.size * 8;
  const number = BigInt(value);
  const wrapped = type.signed ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number);
  if (wrapped !== number) {
    throw invalid(operation, variable.name, `${number} does not fit ${type.signed ? "" : "un"}signed ${bits} bits`);
  }
  const bytes = Buffer.alloc(type.size);
  for (let i = 0; i < type.size; i++) {
    bytes[btf.endianness === "LE" ? i : type.size - 1 - i] = Number((wrapped >> BigInt(8 * i)) & 0xffn);
  }
  return bytes;
}
