// docs/operate.md has every finding that there can be, and the schema is what the code says.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { formatSchema } from "../../../src/config/json-schema.js";
import { severities } from "../../../src/finding.js";
import { healthJsonSchema, healthSchemaFile } from "../../../src/health/schema.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (name: string) => readFileSync(join(root, name), "utf8");

it(`docs/output/${healthSchemaFile} is what the code says (else: node dist/src/health/print-schema.js)`, () => {
  expect(read(`docs/output/${healthSchemaFile}`)).toBe(formatSchema(healthJsonSchema()));
});

it("docs/operate.md names every finding, and no other", () => {
  const folders = ["src/health", "src/observe", "src/datapath"];
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
  );
  const texts = files.map(read);
  const ids = texts.flatMap((text) => [...text.matchAll(/\bid: (.*),$/gm)].flatMap(([, said = ""]) => idsIn(said)));
  expect(ids.length).toBeGreaterThan(30);
  expect([...new Set(documented())].sort()).toEqual([...new Set(ids)].sort());
});

/** `"a"`, or a choice of two. */
const idsIn = (expression: string) => [...expression.matchAll(/"([a-z]+(?:_[a-z0-9]+)+)"/g)].map(([, id = ""]) => id);

/** The first column of rows that have a severity in the second. */
function documented(): string[] {
  const text = read("docs/operate.md");
  const from = text.indexOf("\n### Findings\n");
  const health = text.slice(from, text.indexOf("\n#", from + 5));
  return health
    .split("\n")
    .filter((line) => severities.some((severity) => (line.split(" | ")[1] ?? "").includes(severity)))
    .flatMap((line) => [...(line.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, id = ""]) => id));
}
