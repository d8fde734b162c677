// Makes dist/xgw, which is all of xgw that has to be where it runs: the command line and the library with everything that
// they import, in one file a part so that a command loads only what it needs (starting Node.js with 100 small modules takes
// longer than the command itself), the native addon, the BPF programs, the completions of shells, and a package.json for the version. The folder can
// be moved.
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const target = join(root, "dist", "xgw");
// The others are of tests and benchmarks.
const programs = readdirSync(join(root, "dist", "bpf")).filter((file) => /^(?!test-|bench-).*\.bpf\.o$/.test(file));
const { name, version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const build = await rolldown({
  cwd: root,
  input: { main: "src/cli/main.ts", index: "src/index.ts", view: "src/cli/view.ts" },
  platform: "node",
  tsconfig: false,
  resolve: { alias: { "string-width": join(root, "package", "text-width.mjs") } },
  transform: { target: "node20" },
  onLog(level, log) {
    if (level === "warn") throw new Error(log.message);
  },
});

rmSync(target, { recursive: true, force: true });
await build.write({
  dir: join(target, "lib"),
  format: "esm",
  sourcemap: true,
  minify: { compress: true, mangle: false, codegen: true },
  keepNames: true,
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
});
await build.close();
for (const file of ["main.js", "view.js"]) chmodSync(join(target, "lib", file), 0o755);

for (const file of programs) copy(join("dist", "bpf", file), join("bpf", file));
for (const file of readdirSync(join(root, "package", "completion")))
  copy(join("package", "completion", file), join("completion", file));
copy("bpf/LICENSE", "bpf/LICENSE");
copy("native/build/Release/libbpf_ts.node", `prebuilds/linux-${process.arch}/libbpf_ts.node`);
writeFileSync(
  join(target, "package.json"),
  `${JSON.stringify({ name, version, license, private: true, type: "module" })}\n`,
);

function copy(from, to) {
  mkdirSync(dirname(join(target, to)), { recursive: true });
  cpSync(join(root, from), join(target, to));
}
