/** A key of a map from the words of a command line. */

import type { BpfMap } from "libbpf-ts";
import { UsageError } from "../../errors.js";
import { u32 } from "../layout.js";
import { type Names, parseNumber, type Written, writeNumber } from "./kinds.js";
import { type Field, keyFields } from "./words.js";

/**
 * After the word `key` bytes as bpftool takes them: decimal, 0x…, or hexadecimal after `hex`. Otherwise a word for each field,
 * in their order or as `name=value`. The length of a prefix follows from the field where it ends.
 *
 * @throws UsageError that says what the key is made of
 */
export function parseKey(map: BpfMap, name: string, words: readonly string[], names: Names): Buffer {
  return words[0] === "key" ? bytesOf(map, words.slice(1)) : fieldsOf(map, name, words, names);
}

function bytesOf(map: BpfMap, words: readonly string[]): Buffer {
  const isHex = words[0] === "hex";
  const numbers = isHex ? words.slice(1).map((word) => `0x${word.replace(/^0x/i, "")}`) : words;
  const bytes = numbers.map((word) => parseNumber(word) ?? -1);
  const wrong = bytes.findIndex((byte) => byte < 0 || byte > 255);
  if (wrong >= 0) throw new UsageError(`${JSON.stringify(words[isHex ? wrong + 1 : wrong])} is no byte`);
  if (bytes.length === map.keySize) return Buffer.from(bytes);
  throw new UsageError(`key expected ${map.keySize} bytes got ${bytes.length}`, {
    remedy: "without the word `key` a key is given by its fields, as `xgw map dump` shows them",
  });
}

function fieldsOf(map: BpfMap, name: string, words: readonly string[], names: Names): Buffer {
  const fields = keyFields(map, name);
  if (fields.length === 0)
    throw new UsageError(`the fields of a key of map ${name} are unknown`, {
      remedy: `give its ${map.keySize} bytes: key hex 01 00 …`,
    });
  const key = Buffer.alloc(map.keySize);
  const left = [...fields];
  let bits: number | undefined;
  for (const word of words) {
    const { field, value } = fieldOfWord(word, left, fields, name);
    left.splice(left.indexOf(field), 1);
    const written = field.kind?.parse ? field.kind.parse(value, field.size, names) : plain(value, field.size);
    if (!written)
      throw new UsageError(`${JSON.stringify(value)} is no ${field.kind?.name ?? "number"} (${field.name})`, {
        remedy: usageOf(name, fields),
      });
    written.bytes.copy(key, field.offset);
    if (field.bitsBefore !== undefined) bits = field.bitsBefore + (written.bits ?? 8 * written.bytes.length);
  }
  if (left.length > 0)
    throw new UsageError(`a key of map ${name} has ${fields.length} fields, not ${words.length}`, {
      remedy: usageOf(name, fields),
    });
  if (bits !== undefined) u32(bits).copy(key, 0);
  return key;
}

function fieldOfWord(word: string, left: readonly Field[], fields: readonly Field[], map: string) {
  const [, named, rest] = /^([a-z_]+)=(.*)$/.exec(word) ?? [];
  const field = named === undefined ? left[0] : left.find(({ name }) => name === named);
  if (field) return { field, value: named === undefined ? word : (rest ?? "") };
  throw new UsageError(
    named === undefined ? `there is a word too many: ${JSON.stringify(word)}` : `there is no field ${named} (left)`,
    { remedy: usageOf(map, fields) },
  );
}

const plain = (word: string, size: number): Written | undefined => {
  const bytes = writeNumber(parseNumber(word) ?? -1, size);
  return bytes && { bytes };
};

const usageOf = (map: string, fields: readonly Field[]): string =>
  `give ${fields.map(({ name, kind }) => (kind ? `${name} (${kind.name})` : name)).join(", ")}, as in \`xgw map lookup ${map} ${fields.map(({ name }) => name.toUpperCase()).join(" ")}\``;
