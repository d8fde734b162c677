/** The schemas of what `xgw flow … -j` prints, as files of docs/output: a test fails when they have drifted. */

import type { z } from "zod";
import { formatSchema, titled } from "../config/json-schema.js";
import { deletedSchema, listedSchema, shownSchema, topSchema } from "./schema.js";

const schemas: Readonly<Record<string, readonly [title: string, schema: z.ZodType]>> = {
  "flow-list.schema.json": ["xgw flow list -j, a line", listedSchema],
  "flow-show.schema.json": ["xgw flow show -j, a line", shownSchema],
  "flow-top.schema.json": ["xgw flow top -j, a line", topSchema],
  "flow-delete.schema.json": ["xgw flow delete -j", deletedSchema],
};

/** File name to its text. */
export const flowSchemaTexts = (): Map<string, string> =>
  new Map(
    Object.entries(schemas).map(([file, [title, schema]]) => [file, formatSchema(titled(title, schema, "output"))]),
  );
