/** What /proc says of a descriptor, which the info structs do not: memory, freezing, owners. */
import { readFileSync } from "node:fs";

/** The lines "name:\tvalue" of a descriptor's fdinfo. */
export function readFdInfo(fd: number): Map<string, string> {
  const lines = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").split("\n");
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const colon = line.indexOf(":");
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]];
    }),
  );
}

/** Bytes of kernel memory that a map or program takes, by the kernel's count. */
export function memoryOf(fd: number): number {
  return Number(readFdInfo(fd).get("memlock") ?? 0);
}
