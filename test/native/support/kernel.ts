/** Places in the kernel that a test may use, and that vanish with it. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { inNetNamespace, interfaceIndex } from "libbpf-ts";
import { onTestFinished } from "vitest";
import { bpffs } from "./bpffs.js";

let serial = 0;

function unique(): string {
  return `libbpfts${process.pid}x${serial++}`;
}

/** A directory in a bpffs; gone, with its pins, when the test is over. */
export function pinDirectory(): string {
  const path = `${bpffs}/${unique()}`;
  mkdirSync(path);
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface TestNamespace {
  name: string;
  path: string;
  /** Index of "v0", whose peer is "v1"; both are up. */
  ifindex: number;
  peerIfindex: number;
  /** Runs synchronous work with this thread in the namespace. */
  inside<T>(work: () => T): T;
}

/** A network namespace with a veth pair in it; gone when the test is over. */
export function netNamespace(): TestNamespace {
  const name = unique();
  const path = `/run/netns/${name}`;
  execFileSync("ip", ["netns", "add", name]);
  onTestFinished(() => {
    execFileSync("ip", ["netns", "del", name]);
  });
  execFileSync("ip", ["-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
  execFileSync("ip", ["-n", name, "link", "set", "v0", "up"]);
  execFileSync("ip", ["-n", name, "link", "set", "v1", "up"]);
  const inside = <T>(work: () => T): T => inNetNamespace(path, work as () => never);
  return {
    name,
    path,
    inside,
    ifindex: inside(() => interfaceIndex("v0")),
    peerIfindex: inside(() => interfaceIndex("v1")),
  };
}

/** What bpftool prints as JSON; in a network namespace if given. */
export function bpftool(args: string[], netns?: string): unknown {
  const command = netns === undefined ? ["bpftool"] : ["nsenter", `--net=/run/netns/${netns}`, "bpftool"];
  const [program = "bpftool", ...rest] = [...command, "-j", ...args];
  // Without what a sanitizer's run preloads: that is for Node and the addon.
  const env = { ...process.env, LD_PRELOAD: "" };
  const { status, stdout, stderr } = spawnSync(program, rest, { encoding: "utf8", env, timeout: 60_000 });
  // 7.5 ends with 255 after all that it had to say of a link.
  const said = stdout === "" ? undefined : (JSON.parse(stdout) as unknown);
  const isAnswer = status === 255 && said !== undefined && !(said as { error?: string }).error;
  if (status !== 0 && !isAnswer) throw new Error(`bpftool ${args.join(" ")} ended with ${status}: ${stdout}${stderr}`);
  return said;
}

/** The text that a call throws, or what it returned instead. */
export function failure(call: () => unknown): { code?: string; message: string; errno?: number } {
  let returned: unknown;
  try {
    returned = call();
  } catch (error) {
    return error as { code?: string; message: string };
  }
  return { message: `did not throw, returned ${String(returned)}` };
}
