// SPDX-License-Identifier: GPL-2.0
// Compiles every entry file, bpf/*.bpf.c, bpf/test/*.bpf.c and bench/bpf/*.bpf.c, to dist/bpf/*.bpf.o with BTF: those of
// the data path under their own names, the others as test-*.bpf.o and bench-*.bpf.o. Skips what is up to date.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { otherVersion } from "./test/other-version.mjs";

const source = dirname(fileURLToPath(import.meta.url));
const folders = [
  { folder: source, prefix: "" },
  { folder: join(source, "test"), prefix: "test-" },
  { folder: join(source, "..", "bench", "bpf"), prefix: "bench-" },
];
const output = join(source, "..", "dist", "bpf");
/** Another version, for tests: under the folder that the programs of a version are looked for in. */
const otherOutput = join(source, "..", "dist", "other", "bpf");
const compilers = ["clang-19", "clang"];

function filesIn(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

/** Where linux/types.h finds asm/types.h, which clang does not look for when it compiles for BPF. */
function multiarchInclude() {
  const { stdout } = spawnSync("gcc", ["-print-multiarch"], { encoding: "utf8" });
  const folder = `/usr/include/${(stdout ?? "").trim()}`;
  return existsSync(join(folder, "asm")) ? [`-I${folder}`] : [];
}

/** As libbpf names it: for which machine these programs are. */
const targetArch = { x64: "x86", arm64: "arm64", s390x: "s390", ppc64: "powerpc", riscv64: "riscv" }[process.arch];

function findCompiler() {
  const found = compilers.find((name) => spawnSync(name, ["--version"]).status === 0);
  if (found) return found;
  console.error(`bpf: no clang found (looked for ${compilers.join(", ")}); install it: apt-get install clang-19`);
  process.exit(1);
}

const entries = folders.flatMap(({ folder, prefix }) =>
  filesIn(folder, ".bpf.c").map((file) => ({
    file,
    object: join(output, `${prefix}${basename(file).slice(0, -2)}.o`),
  })),
);
const headers = [join(source, "lib"), ...folders.map(({ folder }) => folder)].flatMap((folder) =>
  filesIn(folder, ".h"),
);
const newestHeader = Math.max(0, ...headers.map((file) => statSync(file).mtimeMs));
// The benchmark's programs include the data path's entry files.
const newestEntry = Math.max(0, ...entries.map(({ file }) => statSync(file).mtimeMs));
const isStale = ({ object }) => !existsSync(object) || statSync(object).mtimeMs < Math.max(newestHeader, newestEntry);

/** Compiles one entry file; `headers` is where its headers lie. */
function compile(compiler, include, headers, file, object) {
  const flags = ["-g", "-O2", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v3", "-fno-strict-aliasing"];
  const args = [
    ...flags,
    `-D__TARGET_ARCH_${targetArch}`,
    `-I${headers}`,
    ...include,
    "-c",
    file,
    "-o",
    `${object}.tmp`,
  ];
  mkdirSync(dirname(object), { recursive: true });
  if (spawnSync(compiler, args, { stdio: "inherit" }).status !== 0) process.exit(1);
  renameSync(`${object}.tmp`, object);
  console.log(`bpf: ${relative(process.cwd(), object)}`);
}

/** The data path with the changes of test/other-version.mjs, in a folder beside. */
function compileOtherVersion(compiler, include) {
  const folder = mkdtempSync(join(tmpdir(), "xgw-bpf-"));
  try {
    for (const name of readdirSync(source).filter((name) => /\.[ch]$|^lib$/.test(name)))
      cpSync(join(source, name), join(folder, name), { recursive: true });
    for (const [name, from, to] of otherVersion) {
      const text = readFileSync(join(folder, name), "utf8");
      if (!text.includes(from)) throw new Error(`test/other-version.mjs: ${name} has no ${JSON.stringify(from)}`);
      writeFileSync(join(folder, name), text.replace(from, to));
    }
    for (const file of filesIn(folder, ".bpf.c"))
      compile(compiler, include, folder, file, join(otherOutput, `${basename(file).slice(0, -2)}.o`));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const changes = fileURLToPath(new URL("./test/other-version.mjs", import.meta.url));
const ofDataPath = entries.filter(
  ({ object }) => dirname(object) === output && !/^(test|bench)-/.test(basename(object)),
);
const newestChange = Math.max(newestHeader, newestEntry, statSync(changes).mtimeMs);
const otherIsStale = ofDataPath.some(({ object }) => {
  const other = join(otherOutput, basename(object));
  return !existsSync(other) || statSync(other).mtimeMs < newestChange;
});

const stale = entries.filter(isStale);
if (stale.length > 0 || otherIsStale) {
  const compiler = findCompiler();
  const include = multiarchInclude();
  for (const { file, object } of stale) compile(compiler, include, source, file, object);
  if (otherIsStale) compileOtherVersion(compiler, include);
}
