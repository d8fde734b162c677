/** The schema of what `xgw explain -j` prints, as a file of docs/output: a test fails when it has drifted. */

import { formatSchema, titled } from "../config/json-schema.js";
import { explanationSchema } from "./schema.js";

export const explainSchemaFile = "explain.schema.json";

export const explainSchemaText = (): string => formatSchema(titled("xgw explain -j", explanationSchema, "output"));
