// Writes docs/api.md from the doc comments of the built declarations (dist/*.d.ts): every name that index.ts exports, with its
// declaration and comment. `node docs.mjs --check` fails when it has drifted.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = `${here}docs/api.md`;

/** Exported names by module, in index.d.ts's order. */
function exportsOf(index) {
  const found = [];
  for (const [, names, module] of index.matchAll(/export (?:type )?\{([^}]*)\} from "\.\/([^"]+)\.js"/g)) {
    const list = names.split(",").map((name) => name.trim().replace(/^type /, ""));
    found.push(...list.filter(Boolean).map((name) => ({ name, module })));
  }
  for (const [, name, module] of index.matchAll(/export \* as (\w+) from "\.\/([^"]+)\.js"/g)) {
    found.push({ name: "*", module, as: name });
  }
  return found;
}

/** Declarations of a module and, by name, of those that it exports from others. */
function declarationsOf(module) {
  const text = readFileSync(`${here}dist/${module}.d.ts`, "utf8");
  const directory = module.includes("/") ? module.slice(0, module.lastIndexOf("/") + 1) : "";
  if (module === "index") return ownDeclarationsOf(module);
  const others = [...text.matchAll(/export (?:type )?\{([^}]*)\} from "\.\/([^"]+)\.js"/g)].flatMap(
    ([, names, other]) => {
      const list = names.split(",").map((name) => name.trim().replace(/^type /, ""));
      return ownDeclarationsOf(directory + other).filter(({ name }) => list.includes(name));
    },
  );
  return [...ownDeclarationsOf(module), ...others];
}

/** Top-level declarations of a module: name, text, and the comment before it. */
function ownDeclarationsOf(module) {
  const text = readFileSync(`${here}dist/${module}.d.ts`, "utf8").replace(/\n\/\/# sourceMappingURL.*/s, "\n");
  const found = [];
  const pattern =
    /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export (?:declare )?(?:abstract )?(class|interface|type|function|const) (\w+)/g;
  const starts = [...text.matchAll(pattern)];
  starts.forEach((match, i) => {
    const from = match.index + (match[1]?.length ?? 0);
    const next = starts[i + 1]?.index ?? text.length;
    const body = text.slice(from, next).split(/\n(?=(?:interface|type|declare|export \{))/)[0] ?? "";
    found.push({ kind: match[2], name: match[3], comment: plain(match[1] ?? ""), body: tidy(body) });
  });
  return found;
}

function plain(comment) {
  return comment
    .replace(/^\/\*\*\s?|\s*\*\/\s*$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""))
    .join("\n")
    .replace(/\{@link (\w+)[^}]*\}/g, "`$1`")
    .replace(/^@(\w+) ?/gm, "*$1:* ")
    .trim();
}

/** Without what is internal or private. */
function tidy(body) {
  return body
    .replace(/^export (declare )?/, "")
    .replace(/\n\s*\/\*\* @internal(?:(?!\*\/)[\s\S])*\*\/\n[^\n]*/g, "")
    .replace(/\n\s*(private |#private)[^\n]*/g, "")
    .trim()
    .split("\n")
    .map(indenter())
    .join("\n");
}

function count(text, pattern) {
  return (text.match(pattern) ?? []).length;
}

/** Indents line by line, by the brackets that are open: the compiler's own indentation differs from build to build. */
function indenter() {
  let depth = 0;
  return (line) => {
    const text = line.trim();
    if (text.startsWith("*")) return `${"  ".repeat(depth)} ${text}`;
    const closing = /^[})\]]/.test(text) ? 1 : 0;
    const indented = "  ".repeat(Math.max(0, depth - closing)) + text;
    if (!text.startsWith("/*")) depth += Math.sign(count(text, /[{([]/g) - count(text, /[})\]]/g));
    return indented;
  };
}

const index = readFileSync(`${here}dist/index.d.ts`, "utf8");
const sections = ["# libbpf-ts: API\n\nGenerated from the doc comments by `npm run docs -w native`. Do not edit.\n"];
const wanted = exportsOf(index);
const order = ["class", "function", "interface", "type", "const"];
const titles = { class: "Classes", function: "Functions", interface: "Interfaces", type: "Types", const: "Constants" };
const all = wanted.flatMap(({ name, module, as }) =>
  declarationsOf(module)
    .filter((declaration) => name === "*" || declaration.name === name)
    .filter(({ name: n }) => name !== "*" || !wanted.some((other) => other.name === n && other.as === undefined))
    .map((declaration) => ({
      ...declaration,
      name: as === undefined ? declaration.name : `${as}.${declaration.name}`,
    })),
);
all.push(...declarationsOf("index"));
for (const kind of order) {
  const declarations = all.filter((declaration) => declaration.kind === kind);
  // Overloads come as several declarations of one name.
  const names = [...new Set(declarations.map(({ name }) => name))].sort((a, b) => (a < b ? -1 : 1));
  if (names.length === 0) continue;
  sections.push(`\n## ${titles[kind]}\n`);
  for (const name of names) {
    const same = declarations.filter((declaration) => declaration.name === name);
    const comment = same.find((declaration) => declaration.comment !== "")?.comment;
    sections.push(
      `\n### ${name}\n\n${comment ? `${comment}\n\n` : ""}\`\`\`ts\n${same.map(({ body }) => body).join("\n")}\n\`\`\`\n`,
    );
  }
}
const fresh = sections.join("");
if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== fresh) {
    console.error("docs/api.md has drifted from the doc comments: npm run docs -w native");
    process.exitCode = 1;
  }
} else {
  mkdirSync(`${here}docs`, { recursive: true });
  writeFileSync(target, fresh);
}
