/** Finds what is pinned where, by looking through every bpffs that is mounted. */
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { addon } from "../addon.js";
import { kindOf } from "../handle.js";
import { readInfo } from "../info.js";

export type PinKind = "map" | "prog" | "link";

/** Offset of the id in each kind's info struct: the same for all. */
const ID_OFFSET = 4;

export type Pins = Map<`${PinKind}:${number}`, string[]>;

/** Pins by kind and id. What cannot be read is left out. */
export function findPins(): Pins {
  const pins: Pins = new Map();
  for (const mount of bpffsMounts()) for (const path of files(mount)) add(pins, path);
  return pins;
}

function bpffsMounts(): string[] {
  const lines = readFileSync("/proc/self/mounts", "utf8").split("\n");
  const mounts = lines.map((line) => line.split(" ")).filter((fields) => fields[2] === "bpf");
  // Spaces and the like are written in octal.
  const plain = (path: string) =>
    path.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)));
  return [...new Set(mounts.map((fields) => plain(fields[1] ?? "")))];
}

function* files(directory: string): Generator<string> {
  let entries: Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile()) yield path;
  }
}

function add(pins: Pins, path: string): void {
  const fd = addon.openPin(path, 0);
  if (fd < 0) return;
  try {
    const handle = kindOf(fd);
    if (handle === undefined) return;
    const kind = handle === "program" ? "prog" : handle;
    const key = `${kind}:${readInfo(fd, path).u32(ID_OFFSET)}` as const;
    pins.set(key, [...(pins.get(key) ?? []), path]);
  } finally {
    addon.closeFd(fd);
  }
}
