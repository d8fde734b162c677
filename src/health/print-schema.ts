/** Writes the JSON schema into a directory: `node dist/src/health/print-schema.js docs`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatSchema } from "../config/json-schema.js";
import { healthJsonSchema, healthSchemaFile } from "./schema.js";

writeFileSync(join(process.argv[2] ?? "docs", healthSchemaFile), formatSchema(healthJsonSchema()));
