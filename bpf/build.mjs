// SPDX-License-Identifier: GPL-2.0
// Compiles every entry file, bpf/*.bpf.c, bpf/test/*.bpf.c and bench/bpf/*.bpf.c, to dist/bpf/*.bpf.o with BTF: those of
// the data path under their own names, the others as test-*.bpf.o and bench-*.bpf.o. Skips what is up to date.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const source = dirname(fileURLToPath(import.meta.url));
const folders = [
  { folder: source, prefix: "" },
  { folder: join(source, "test"), prefix: "test-" },
  { folder: join(source, "..", "bench", "bpf"), prefix: "bench-" },
];
const output = join(source, "..", "dist", "bpf");
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

const stale = entries.filter(isStale);
if (stale.length > 0) {
  const compiler = findCompiler();
  const include = multiarchInclude();
  mkdirSync(output, { recursive: true });
  for (const { file, object } of stale) {
    const flags = ["-g", "-O2", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v3", "-fno-strict-aliasing"];
    const args = [
      ...flags,
      `-D__TARGET_ARCH_${targetArch}`,
      `-I${source}`,
      ...include,
      "-c",
      file,
      "-o",
      `${object}.tmp`,
    ];
    if (spawnSync(compiler, args, { stdio: "inherit" }).status !== 0) process.exit(1);
    renameSync(`${object}.tmp`, object);
    console.log(`bpf: ${relative(process.cwd(), object)}`);
  }
}
