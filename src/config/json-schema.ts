/**
 * The config's schema for editors, in JSON schema draft 7, the one that their YAML servers know best. Both are checked in
 * under `docs/`, and a test fails when they have drifted from the zod schema.
 */

import { z } from "zod";
import { configSchema, tenantSchema } from "./schema.js";

type JsonSchema = Record<string, unknown>;

export const schemaFiles = {
  /** The main file. */
  config: "xgw.schema.json",
  /** A file of `tenants.d`: one tenant or a list of them. */
  tenants: "xgw-tenants.schema.json",
} as const;

export type SchemaKind = keyof typeof schemaFiles;

export function jsonSchema(kind: SchemaKind): JsonSchema {
  const schema = kind === "config" ? configSchema : z.union([tenantSchema, z.array(tenantSchema)]);
  return titled(kind === "config" ? "xgw configuration" : "xgw tenants, one or a list of them", schema, "input");
}

/** @param io whether it describes what is read or what is written */
export function titled(title: string, schema: z.ZodType, io: "input" | "output"): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, target: "draft-7" }) as JsonSchema;
  return { $schema, title, ...rest };
}

export const jsonSchemaText = (kind: SchemaKind): string => formatSchema(jsonSchema(kind));

/** As text, the way the repository's formatter leaves it: lists of words on one line, of up to 120 characters. */
export function formatSchema(schema: JsonSchema): string {
  const text = JSON.stringify(schema, null, 2);
  return `${text.replaceAll(
    /^(.*)\[\n\s+("[^[\]{}]*?")\n\s+\](,?)$/gm,
    (whole, before: string, words: string, comma: string) => {
      const line = `${before}[${words.replaceAll(/,\n\s+/g, ", ")}]${comma}`;
      return line.length <= 120 ? line : whole;
    },
  )}\n`;
}
