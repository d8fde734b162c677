// Makes dist/lab: the worker and the programs that the tests start, each in one file, for as some 250 small modules it would
// take most of its time on an emulated kernel to begin; and the UDP applications. The worker in dist/other/lab is one of the
// other version: it has other nft rules, and the BPF programs are looked for beside it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const dist = join(root, "dist");
const [here, other] = [join(dist, "lab"), join(dist, "other", "lab")];
for (const folder of [here, other]) mkdirSync(folder, { recursive: true });

const warnings = ["-Wall", "-Wextra", "-Werror"];
execFileSync("cc", ["-O2", ...warnings, "-o", join(here, "udp"), join(root, "vm", "lab", "udp.c")], {
  stdio: "inherit",
});

for (const input of [
  "vm/lab/worker.ts",
  "vm/lab/commands.ts",
  "vm/walk.ts",
  "vm/differential.ts",
  "vm/attack.ts",
  "vm/changes.ts",
]) {
  const build = await rolldown({
    cwd: root,
    input,
    platform: "node",
    tsconfig: false,
    external: ["libbpf-ts"],
    transform: { target: "node20" },
    onLog(level, log) {
      if (level === "warn") throw new Error(log.message);
    },
  });
  await build.write({
    file: join(here, `${basename(input, ".ts")}.js`),
    format: "esm",
    codeSplitting: false,
    minify: { compress: true, mangle: false, codegen: true },
    keepNames: true,
  });
  await build.close();
}

// As before the rules judged sources: programs of that time give what the uplink hands over no mark, see other-version.mjs.
const judging = 'iifname "xgre*" meta mark & 0x80000000 == 0 jump judge_source';
const worker = readFileSync(join(here, "worker.js"), "utf8");
if (!worker.includes(judging)) throw new Error(`the rules have no ${JSON.stringify(judging)}`);
writeFileSync(join(other, "worker.js"), worker.replace(judging, 'iifname "xgre*" accept'));
