/** Network namespaces with devices and conntrack entries, gone when the file's tests are over. */

import { execFileSync } from "node:child_process";
import { inNetNamespace, interfaceIndex } from "libbpf-ts";
import { afterAll } from "vitest";
import type { TestConnection } from "./world.js";

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
  // What IPv6 sends by itself now and then would be counted by programs that are attached.
  for (const which of ["all", "default"]) exec("sysctl", "-qw", `net.ipv6.conf.${which}.disable_ipv6=1`);
  ip("link", "set", "lo", "up");
  ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  for (const device of ["v0", "v1"]) ip("link", "set", device, "up");
  const index = (device: string) => inNetNamespace(path, () => interfaceIndex(device));
  return { name, path, veth: [index("v0"), index("v1")], ip, exec };
}

export interface EntryOptions {
  /** Of TCP; ESTABLISHED if not given. */
  readonly state?: string;
  /** `conntrack -u`; SEEN_REPLY if not given. */
  readonly status?: string;
  /** Seconds; 100 if not given. */
  readonly timeout?: number;
  readonly mark?: number;
  readonly zone?: number;
}

/** Makes the kernel's entry of a connection, as NAT would have left it. */
export function track(
  namespace: Namespace,
  { original, reply, record }: TestConnection,
  options: EntryOptions = {},
): void {
  const { state = "ESTABLISHED", status = "SEEN_REPLY", timeout = 100, mark = 0, zone = record.zone } = options;
  const { protocol, arrivesAs } = original.fields;
  const [client, publicEnd] = arrivesAs;
  const server = reply.fields.arrivesAs[0];
  namespace.exec(
    "conntrack",
    ...["-I", "-p", protocol, "-w", `${zone}`, "-t", `${timeout}`, "-u", status, "-m", `${mark}`],
    ...["-s", client.address, "--sport", `${client.port}`, "-d", publicEnd.address, "--dport", `${publicEnd.port}`],
    ...["--dst-nat", `${server.address}:${server.port}`],
    ...(protocol === "tcp" ? ["--state", state] : []),
  );
}

/** Makes the kernel's entry of a connection with the same tuples that the server has begun. */
export function trackFromServer(namespace: Namespace, { original, reply, record }: TestConnection): void {
  const { protocol } = original.fields;
  const [server, client] = reply.fields.arrivesAs;
  const publicEnd = original.fields.arrivesAs[1];
  namespace.exec(
    "conntrack",
    ...["-I", "-p", protocol, "-w", `${record.zone}`, "-t", "100", "-u", "SEEN_REPLY"],
    ...["-s", server.address, "--sport", `${server.port}`, "-d", client.address, "--dport", `${client.port}`],
    ...["--src-nat", `${publicEnd.address}:${publicEnd.port}`],
    ...(protocol === "tcp" ? ["--state", "ESTABLISHED"] : []),
  );
}

/** The kernel's entry of a protocol, as `conntrack` prints it; empty when there is none. */
export const entryOf = (namespace: Namespace, protocol: "tcp" | "udp", zone: number): string =>
  namespace.exec("conntrack", "-L", "-p", protocol, "-w", `${zone}`);

/** Seconds until the entry of a protocol ends; undefined when there is none. */
export function timeoutOf(namespace: Namespace, protocol: "tcp" | "udp", zone: number): number | undefined {
  const line = entryOf(namespace, protocol, zone);
  const seconds = new RegExp(`^${protocol}\\s+\\d+ (\\d+) `).exec(line)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** Removes all conntrack entries. */
export function untrack(namespace: Namespace): void {
  namespace.exec("conntrack", "-F");
}
