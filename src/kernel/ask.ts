/** Questions to the kernel that change nothing: the route of one packet, and a neighbour. */

import { run } from "./spawn.js";

export interface RouteQuestion {
  readonly destination: string;
  readonly source?: string | undefined;
  /** Name of the device that the packet comes in by; missing for what the machine itself sends. */
  readonly cameInBy?: string | undefined;
}

export interface RouteAnswer {
  readonly device?: string | undefined;
  readonly gateway?: string | undefined;
  /** Such as `unreachable`; undefined for an ordinary one. */
  readonly type?: string | undefined;
  /** Bytes, where the route has one of its own. */
  readonly mtu?: number | undefined;
  /** Of a lightweight tunnel. */
  readonly encap?: { readonly id: number; readonly source?: string; readonly destination: string } | undefined;
  /** The command that asks the same. */
  readonly command: string;
  /** What the kernel says in place of a route. */
  readonly refusal?: string | undefined;
}

/** What the kernel would do, by rules, tables, VRFs and learned exceptions. */
export async function askRoute({ destination, source, cameInBy }: RouteQuestion): Promise<RouteAnswer> {
  const words = [
    ...["route", "get", destination],
    ...(source === undefined ? [] : ["from", source]),
    ...(cameInBy === undefined ? [] : ["iif", cameInBy]),
  ];
  const command = `ip ${words.join(" ")}`;
  const { code, stdout, stderr } = await run("ip", ["-d", "-j", ...words], { okCodes: [1, 2] });
  if (code !== 0) return { command, refusal: stderr.trim().replace(/^RTNETLINK answers: /, "") };
  const [route = {}] = JSON.parse(stdout === "" ? "[]" : stdout) as Record<string, unknown>[];
  const text = (name: string) => (typeof route[name] === "string" ? route[name] : undefined);
  const metrics = (Array.isArray(route.metrics) ? route.metrics[0] : undefined) as { mtu?: number } | undefined;
  const type = text("type");
  return {
    command,
    device: text("dev"),
    gateway: text("gateway"),
    type: type === "unicast" ? undefined : type,
    mtu: metrics?.mtu,
    encap: route.encap === "ip" ? encapOf(route) : undefined,
  };
}

function encapOf(route: Record<string, unknown>): NonNullable<RouteAnswer["encap"]> {
  const { id, src, dst } = route as { id?: number; src?: string; dst?: string };
  return { id: id ?? 0, ...(src === undefined ? {} : { source: src }), destination: dst ?? "0.0.0.0" };
}

export interface NeighbourAnswer {
  readonly linkAddress?: string | undefined;
  /** Such as REACHABLE; empty where the kernel has none. */
  readonly states: readonly string[];
  readonly command: string;
}

export async function askNeighbour(device: string, address: string): Promise<NeighbourAnswer> {
  const words = ["neigh", "show", "to", address, "dev", device];
  const { stdout } = await run("ip", ["-j", ...words], { okCodes: [1, 255] });
  const [found] = JSON.parse(stdout.trim() === "" ? "[]" : stdout) as { lladdr?: string; state?: string[] }[];
  return { linkAddress: found?.lladdr, states: found?.state ?? [], command: `ip ${words.join(" ")}` };
}
