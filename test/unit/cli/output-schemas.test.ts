import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type OutputName, outputSchemas, outputSchemaText, schemaFile } from "../../../src/cli/output/schemas.js";
import { flowSchemaTexts } from "../../../src/flow/json-schema.js";
import { healthSchemaFile } from "../../../src/health/schema.js";
import { monitorSchemaFile } from "../../../src/monitor/json-schema.js";

const folder = new URL("../../../docs/output/", import.meta.url);
const names = Object.keys(outputSchemas) as OutputName[];

describe("docs/output (else: node dist/src/cli/output/print-schemas.js docs/output)", () => {
  it.each(names)("has what the code says of %s", (name) => {
    expect(readFileSync(new URL(schemaFile(name), folder), "utf8")).toBe(outputSchemaText(name));
  });

  it("has no other but those of doctor, flow and monitor", () => {
    const all = [...names.map(schemaFile), healthSchemaFile, ...flowSchemaTexts().keys(), monitorSchemaFile];
    expect(readdirSync(folder).sort()).toEqual(all.sort());
  });
});
