/** Network namespaces with devices and conntrack entries, gone when the file's tests are over. */

import { execFileSync } from "node:child_process";
import { inNetNamespace, interfaceIndex } from "libbpf-ts";
import { afterAll } from "vitest";

let serial = 0;

export interface Namespace {
  readonly name: string;
  readonly path: string;
  /** Indexes of the two ends of a veth pair in it; both are up. */
  readonly veth: readonly [number, number];
  ip(...args: string[]): void;
  /** Output of a command in it. */
  exec(program: string, ...args: string[]): string;
}

export function makeNamespace(): Namespace {
  const name = `xgwbpf${process.pid}x${serial++}`;
  const path = `/run/netns/${name}`;
  execFileSync("ip", ["netns", "add", name]);
  afterAll(() => void execFileSync("ip", ["netns", "del", name]));
  const ip = (...args: string[]) => void execFileSync("ip", ["-n", name, ...args]);
  const exec = (program: string, ...args: string[]) =>
    execFileSync("ip", ["netns", "exec", name, program, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  ip("link", "set", "lo", "up");
  ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  for (const device of ["v0", "v1"]) ip("link", "set", device, "up");
  const index = (device: string) => inNetNamespace(path, () => interfaceIndex(device));
  return { name, path, veth: [index("v0"), index("v1")], ip, exec };
}
