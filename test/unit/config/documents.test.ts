import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { jsonSchema, jsonSchemaText, type SchemaKind, schemaFiles } from "../../../src/config/json-schema.js";
import { loadAt } from "./fixture.js";

const root = new URL("../../../", import.meta.url).pathname;

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly description?: string;
}

/** Every key of a schema, as `a.b[].c`. */
function keysOf(node: SchemaNode, prefix = ""): Map<string, SchemaNode> {
  const keys = new Map<string, SchemaNode>();
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    keys.set(key, child);
    for (const [deeper, below] of keysOf(child, key)) keys.set(deeper, below);
  }
  if (node.items) for (const [deeper, below] of keysOf(node.items, `${prefix}[]`)) keys.set(deeper, below);
  return keys;
}

const schemaKeys = keysOf(jsonSchema("config") as SchemaNode);

describe.each(Object.entries(schemaFiles))("the %s schema for editors", (kind, file) => {
  it(`docs/${file} is what the code says (else: node dist/src/config/print-schema.js docs)`, () => {
    const stored = readFileSync(join(root, "docs", file), "utf8");
    expect(stored).toBe(jsonSchemaText(kind as SchemaKind));
  });
});

it("every key of the config has a description for editors", () => {
  const bare = [...schemaKeys].filter(([, node]) => !node.description).map(([key]) => key);
  expect(bare).toEqual([]);
});

describe("docs/config.md", () => {
  const text = readFileSync(join(root, "docs/config.md"), "utf8");
  // A key's row begins with the key in code marks and has four columns; other tables have fewer.
  const documented = [...text.matchAll(/^\| `([^`]+)`\s*\|[^|\n]*\|[^|\n]*\|[^|\n]*\|$/gm)]
    .map((match) => match[1] as string)
    .filter((key) => key !== "inbound" && key !== "outbound");

  it("has a row for every key that there is", () => {
    const missing = [...schemaKeys.keys()].filter((key) => !documented.includes(key));
    expect(missing).toEqual([]);
  });

  it("has no row for a key that there is not", () => {
    const stale = documented.filter((key) => !schemaKeys.has(key));
    expect(stale).toEqual([]);
  });
});

describe("the examples", () => {
  const configs = readdirSync(join(root, "examples"), { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".yaml") && !name.includes("tenants.d/"),
  );

  it("are there", () => {
    expect(configs.sort()).toEqual(["plain-uplink.yaml", "tenants-in-files/xgw.yaml", "two-tenants.yaml"]);
  });

  it.each(configs)("%s is right, without a warning", async (name) => {
    const { errors, warnings } = await loadAt(join(root, "examples"), name);
    expect([...errors, ...warnings]).toEqual([]);
  });

  const files = readdirSync(join(root, "examples"), { recursive: true, encoding: "utf8" });
  it.each(files.filter((name) => name.endsWith(".yaml")))("%s tells editors where its schema is", (name) => {
    const file = join(root, "examples", name);
    const reference = /^# yaml-language-server: \$schema=(.+)\n/.exec(readFileSync(file, "utf8"))?.[1] ?? "none";
    const wanted = name.includes("tenants.d/") ? schemaFiles.tenants : schemaFiles.config;
    expect(join(file, "..", reference)).toBe(join(root, "docs", wanted));
  });
});
