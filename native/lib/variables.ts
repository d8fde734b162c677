/** An object's global variables: where they lie, and their values as bytes. */
import type { AddonMapSpec } from "./addon.js";
import type { Btf } from "./btf/btf.js";
import { codecOf } from "./btf/codec.js";
import { type Layout, layoutOf } from "./btf/layout.js";
import { BpfError, invalid } from "./error.js";

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

/** A value as the bytes of the variable's type: bytes as they are, anything else by the type's codec. */
export function variableBytes(btf: Btf, variable: VariableSpec, value: unknown): Uint8Array {
  const operation = "set variable";
  if (value instanceof Uint8Array) {
    if (value.byteLength !== variable.size) {
      throw invalid(operation, variable.name, `expected ${variable.size} bytes, got ${value.byteLength}`);
    }
    return value;
  }
  const layout = layoutOf(btf, variable.typeId);
  try {
    return codecOf(layout).encode(asTruth(value, layout));
  } catch (error) {
    throw error instanceof BpfError ? invalid(operation, variable.name, error.reason) : error;
  }
}

/** A bool takes 0 and 1 too, an integer true and false: C does not tell them apart either. */
function asTruth(value: unknown, layout: Layout): unknown {
  if (layout.kind === "bool" && (value === 0 || value === 1)) return value === 1;
  if (layout.kind === "int" && typeof value === "boolean") return value ? 1 : 0;
  return value;
}
