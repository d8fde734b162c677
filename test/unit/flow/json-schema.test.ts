import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { flowSchemaTexts } from "../../../src/flow/json-schema.js";

it.each([...flowSchemaTexts()])(
  "docs/output/%s is what the command prints (node dist/src/flow/print-schema.js)",
  (file, text) => {
    expect(readFileSync(new URL(`../../../docs/output/${file}`, import.meta.url), "utf8")).toBe(text);
  },
);
