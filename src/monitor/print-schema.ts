/** Writes the JSON schema of `xgw monitor` into a directory: `node dist/src/monitor/print-schema.js docs/output`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorSchemaFile, monitorSchemaText } from "./json-schema.js";

writeFileSync(join(process.argv[2] ?? "docs/output", monitorSchemaFile), monitorSchemaText());
