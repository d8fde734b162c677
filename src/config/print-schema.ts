/** Writes the JSON schemas into a directory: `node dist/src/config/print-schema.js docs`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jsonSchemaText, type SchemaKind, schemaFiles } from "./json-schema.js";

const directory = process.argv[2] ?? "docs";
for (const [kind, file] of Object.entries(schemaFiles)) {
  writeFileSync(join(directory, file), jsonSchemaText(kind as SchemaKind));
}
