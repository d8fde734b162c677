/** Codecs of values with parts: arrays, structs, unions. */
import { BpfError, invalid } from "../error.js";
import { type Codec, make, outOfRange } from "./codec-base.js";

export function array<T>(count: number, element: Codec<T>): Codec<T[]> {
  const stride = element.size;
  return make(
    count * stride,
    (from, offset) => {
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(element.decode(from, offset + i * stride));
      return values;
    },
    (values, to, offset) => {
      if (!Array.isArray(values) || values.length !== count) {
        const got = Array.isArray(values) ? `${values.length}` : typeof values;
        throw invalid("encode", undefined, `expected an array of ${count}, got ${got}`);
      }
      for (let i = 0; i < count; i++) element.encodeInto(values[i] as T, to, offset + i * stride);
    },
  );
}

/** Offset and codec of a field, under its name. */
export type Fields<T> = { readonly [K in keyof T]?: readonly [offset: number, codec: Codec<NonNullable<T[K]>>] };

/** An anonymous struct or union inside of another: its fields are the outer one's. */
export interface Anonymous {
  offset: number;
  codec: Codec<never>;
  names: readonly string[];
}

/** @internal */
export type AnyFields = Readonly<Record<string, readonly [offset: number, codec: Codec<never>]>>;
/** @internal */
export type Values = Record<string, unknown>;

/** A struct: an object with a property for each field. */
export function struct<T>(size: number, fields: Fields<T>, anonymous: readonly Anonymous[] = []): Codec<T> {
  return composite(size, fields as unknown as AnyFields, anonymous, false) as unknown as Codec<T>;
}

/** A union: an object with a property for each member, all of the same bytes. */
export function union<T>(size: number, fields: Fields<T>, anonymous: readonly Anonymous[] = []): Codec<T> {
  return composite(size, fields as unknown as AnyFields, anonymous, true) as unknown as Codec<T>;
}

/** The fields of an anonymous member, for the struct or union around it. */
export function anonymous<T>(offset: number, codec: Codec<T>, names: readonly (keyof T & string)[]): Anonymous {
  return { offset, codec: codec as unknown as Codec<never>, names };
}

interface Part {
  names: readonly string[];
  offset: number;
  size: number;
  decodeTo(target: Values, bytes: Buffer, offset: number): void;
  /** Writes what the value has of this part. */
  encodeFrom(value: Values, bytes: Buffer, offset: number): void;
}

/** @internal */
export function composite(
  size: number,
  fields: AnyFields,
  inner: readonly Anonymous[],
  overlay: boolean,
): Codec<Values> {
  const parts: Part[] = [
    ...Object.entries(fields).map(([name, [offset, codec]]) => namedPart(name, offset, codec as Codec<unknown>)),
    ...inner.map((part) => anonymousPart(part)),
  ];
  const known = new Set(parts.flatMap((part) => part.names));
  return make<Values>(
    size,
    (from, offset) => {
      const target: Values = {};
      for (const part of parts) part.decodeTo(target, from, offset + part.offset);
      return target;
    },
    (value, to, offset) => {
      if (typeof value !== "object" || value === null) throw outOfRange(value, "object");
      for (const name in value) {
        if (!known.has(name)) throw invalid("encode", name, `no such field (there are ${[...known].join(", ")})`);
      }
      to.fill(0, offset, offset + size);
      if (overlay) {
        const present = parts.filter((part) => part.names.some((name) => value[name] !== undefined));
        encodeUnion(value, to.subarray(offset, offset + size), present);
      } else {
        for (const part of parts) part.encodeFrom(value, to, offset + part.offset);
      }
    },
  );
}

/** The largest member decides; the others must say the same of the bytes that they share with it. */
function encodeUnion(value: Values, to: Buffer, present: readonly Part[]): void {
  const [first, ...others] = [...present].sort((a, b) => b.size - a.size);
  first?.encodeFrom(value, to, first.offset);
  for (const part of others) {
    const scratch = Buffer.from(to);
    part.encodeFrom(value, scratch, part.offset);
    if (!scratch.equals(to)) {
      const names = present.flatMap((p) => p.names).join(", ");
      throw invalid("encode", names, "the members of the union disagree: give one of them");
    }
  }
}

function namedPart(name: string, offset: number, codec: Codec<unknown>): Part {
  return {
    names: [name],
    offset,
    size: codec.size,
    decodeTo(target, from, at) {
      target[name] = codec.decode(from, at);
    },
    encodeFrom(value, to, at) {
      const field = value[name];
      if (field === undefined) return;
      try {
        codec.encodeInto(field, to, at);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        const path = error.objectName === undefined ? name : `${name}.${error.objectName}`;
        throw invalid("encode", path, error.reason);
      }
    },
  };
}

function anonymousPart({ offset, codec, names }: Anonymous): Part {
  const inner = codec as unknown as Codec<Values>;
  return {
    names,
    offset,
    size: codec.size,
    decodeTo(target, from, at) {
      Object.assign(target, inner.decode(from, at));
    },
    encodeFrom(value, to, at) {
      const own = Object.fromEntries(names.filter((n) => value[n] !== undefined).map((n) => [n, value[n]]));
      inner.encodeInto(own, to, at);
    },
  };
}
