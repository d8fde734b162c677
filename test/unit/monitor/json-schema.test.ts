import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { monitorSchemaFile, monitorSchemaText } from "../../../src/monitor/json-schema.js";

it("docs/output has what the command prints (node dist/src/monitor/print-schema.js)", () => {
  const file = new URL(`../../../docs/output/${monitorSchemaFile}`, import.meta.url);
  expect(readFileSync(file, "utf8")).toBe(monitorSchemaText());
});
