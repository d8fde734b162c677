// The rules that hold the layout together (docs: CONTRIBUTING.md). To change one, change its table here.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What may use which module. A name that ends in "/" is a folder. */
const reserved = [
  { module: "node:child_process", only: ["src/kernel/spawn.ts"], within: "src/" },
  {
    module: "libbpf-ts",
    only: [
      "src/daemon-socket.ts",
      "src/daemon/instance-claim.ts",
      "src/datapath/",
      "src/kernel/base-chains.ts",
      "src/kernel/clock.ts",
      "src/kernel/connection-states.ts",
      "src/kernel/conntrack.ts",
      "src/kernel/generic-netlink.ts",
      "src/kernel/monitor.ts",
      "src/kernel/neighbour-table.ts",
      "src/kernel/netfilter-hooks.ts",
      "src/kernel/netfilter.ts",
      "src/kernel/nftables.ts",
      "src/kernel/routing-rules.ts",
      "src/kernel/rtnetlink.ts",
      "src/kernel/tag-offload.ts",
      "src/lock.ts",
    ],
    within: "src/",
  },
  {
    module: "node:fs",
    only: ["src/config/file-cache.ts", "src/config/load.ts", "src/config/source.ts", "src/config/print-schema.ts"],
    within: "src/config/",
  },
  { module: "node:", only: [], within: "src/model/" },
  { module: "node:", only: [], within: "src/plan/" },
];

/** Modules of Node.js that compute and nothing else. */
const pure = ["node:crypto", "node:util"];

/** The parts of src, each layer above those that it may import from. */
const layers = [
  ["bytes", "errors", "log", "log-level", "crash", "slices", "exposition", "finding"],
  ["config", "model"],
  ["plan"],
  ["kernel"],
  ["runtime-directory", "lock", "daemon-socket"],
  ["datapath"],
  ["observe"],
  ["health"],
  ["execute"],
  ["gateway", "change", "repair"],
  ["doctor", "status", "metrics", "flow", "monitor"],
  ["daemon"],
  ["cli", "index"],
];

/** What native/ may not know. */
const loadsTheAddon = "native/lib/addon.ts";

interface Import {
  readonly file: string;
  readonly module: string;
}

function filesIn(folder: string, endings: readonly string[]): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((file) => !/(^|\/)(node_modules|dist|build)\//.test(file));
}

function importsIn(folder: string): Import[] {
  return filesIn(folder, [".ts"]).flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const found = text.matchAll(/(?:^|[;}\s])(?:from|import|require)\s*\(?\s*["']([^"'\n]+)["']/g);
    return [...found].map((match) => ({ file, module: match[1] ?? "" }));
  });
}

function covers(names: readonly string[], file: string): boolean {
  return names.some((name) => (name.endsWith("/") ? file.startsWith(name) : file === name));
}

/** "plan" for src/plan/diff.ts and for src/plan.ts. */
function part(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.[jt]s$/, "");
}

const imports = importsIn("src");

describe("imports in src", () => {
  for (const { module, only, within } of reserved) {
    it(`${module} in ${within}: ${only.length > 0 ? `only ${only.join(", ")}` : "nowhere"}`, () => {
      const matches = (name: string) =>
        name === module || name.startsWith(module.endsWith(":") ? module : `${module}/`);
      const offenders = imports.filter(
        (found) =>
          matches(found.module) &&
          !pure.includes(found.module) &&
          found.file.startsWith(within) &&
          !covers(only, found.file),
      );
      expect(offenders).toEqual([]);
    });
  }

  it("go down the layers only", () => {
    const rank = new Map(layers.flatMap((names, level) => names.map((name) => [name, level] as const)));
    const upward: string[] = [];
    for (const { file, module } of imports) {
      if (!module.startsWith(".")) continue;
      const target = posix.join(posix.dirname(file), module);
      const [from, to] = [rank.get(part(file)), rank.get(part(target))];
      if (from === undefined || to === undefined || to > from) upward.push(`${file} imports ${target}`);
    }
    expect(upward, "upward, or a part that the table of layers does not name").toEqual([]);
  });
});

describe("native", () => {
  it(`loads the addon in ${loadsTheAddon} only`, () => {
    const loaders = filesIn("native", [".ts"]).filter((file) =>
      /createRequire|process\.dlopen|\.node["'`]/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(loaders).toEqual([loadsTheAddon]);
  });

  it("imports nothing of the gateway", () => {
    expect(importsIn("native").filter(({ module }) => /(^|\/)src\/|(^|\/)vm\/|^xgw/.test(module))).toEqual([]);
  });
});

describe("bpf", () => {
  it("has the licence that the kernel wants in each file", () => {
    const without = filesIn("bpf", [".c", ".h", ".mjs"]).filter(
      (file) => !/^(\/\/|\/\*) SPDX-License-Identifier: GPL-2\.0/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(without).toEqual([]);
  });
});
