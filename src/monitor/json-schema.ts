/** The schema of what `xgw monitor -j` prints, as a file of docs/output: a test fails when it has drifted. */

import { formatSchema, titled } from "../config/json-schema.js";
import { eventSchema } from "./schema.js";

export const monitorSchemaFile = "monitor.schema.json";

export const monitorSchemaText = (): string => formatSchema(titled("xgw monitor -j, a line", eventSchema, "output"));
