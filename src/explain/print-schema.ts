/** Writes the JSON schema of `xgw explain` into a directory: `node dist/src/explain/print-schema.js docs/output`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { explainSchemaFile, explainSchemaText } from "./json-schema.js";

writeFileSync(join(process.argv[2] ?? "docs/output", explainSchemaFile), explainSchemaText());
