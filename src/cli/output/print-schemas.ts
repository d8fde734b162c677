/** Writes the JSON schemas of verbs' output into a directory: `node dist/src/cli/output/print-schemas.js docs/output`. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type OutputName, outputSchemas, outputSchemaText, schemaFile } from "./schemas.js";

const directory = process.argv[2] ?? "docs/output";
mkdirSync(directory, { recursive: true });
for (const name of Object.keys(outputSchemas) as OutputName[])
  writeFileSync(join(directory, schemaFile(name)), outputSchemaText(name));
