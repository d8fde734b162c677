/** Writes the JSON schemas of `xgw flow` into a directory: `node dist/src/flow/print-schema.js docs/output`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { flowSchemaTexts } from "./json-schema.js";

const directory = process.argv[2] ?? "docs/output";
for (const [file, text] of flowSchemaTexts()) writeFileSync(join(directory, file), text);
