/** Writes the JSON schema into a directory: `node dist/src/health/print-schema.js docs/output`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatSchema } from "../config/json-schema.js";
import { healthJsonSchema, healthSchemaFile } from "./schema.js";

writeFileSync(join(process.argv[2] ?? "docs/output", healthSchemaFile), formatSchema(healthJsonSchema()));
