/** Compiles the BPF programs of these tests, once for each change of their source. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const sources = fileURLToPath(new URL("../bpf/", import.meta.url));
const built = `${fileURLToPath(new URL("../build/", import.meta.url))}`;

/** The object file of bpf/NAME.bpf.c. */
export function objectFile(name: string): string {
  const source = `${sources}${name}.bpf.c`;
  const target = `${built}${name}.bpf.o`;
  if (existsSync(target) && statSync(target).mtimeMs > statSync(source).mtimeMs) return target;
  mkdirSync(built, { recursive: true });
  const fresh = `${target}.${process.pid}`;
  const triplet = execFileSync("gcc", ["-print-multiarch"], { encoding: "utf8" }).trim();
  const flags = ["-g", "-O2", "-target", "bpf", "-Wall", "-Werror", `-I/usr/include/${triplet}`];
  execFileSync("clang-19", [...flags, "-c", source, "-o", fresh], { stdio: ["ignore", "inherit", "inherit"] });
  renameSync(fresh, target);
  return target;
}
