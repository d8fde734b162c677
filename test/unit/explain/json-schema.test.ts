import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { explainSchemaFile, explainSchemaText } from "../../../src/explain/json-schema.js";

it(`docs/output/${explainSchemaFile} is what the command prints (node dist/src/explain/print-schema.js)`, () => {
  const file = new URL(`../../../docs/output/${explainSchemaFile}`, import.meta.url);
  expect(readFileSync(file, "utf8")).toBe(explainSchemaText());
});
