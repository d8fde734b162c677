/** The kernel's connections, read and deleted by the conntrack command. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crashPoint } from "../crash.js";
import type { Connection, ConnectionTuple } from "../plan/admission.js";
import type { Selector } from "../plan/selectors.js";
import { run } from "./spawn.js";

/** Connections of a zone; of all zones when none is given. */
export async function readConnections(zone?: number): Promise<Connection[]> {
  const args = ["-L", "-f", "ipv4", ...(zone === undefined ? [] : ["-w", String(zone)])];
  return parseConnections((await run("conntrack", args)).stdout);
}

export function parseConnections(text: string): Connection[] {
  return text.split("\n").flatMap((line) => parseConnection(line) ?? []);
}

/** `tcp 6 299 ESTABLISHED src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… mark=1 zone=5 use=1` */
function parseConnection(line: string): Connection | undefined {
  const protocol = /^\S+\s+(\d+) /.exec(line)?.[1];
  if (protocol === undefined) return undefined;
  const values = (name: string) =>
    [...line.matchAll(new RegExp(` ${name}=(\\S+)`, "g"))].map((match) => match[1] ?? "");
  const [sources, destinations] = [values("src"), values("dst")];
  const [sourcePorts, destinationPorts] = [values("sport"), values("dport")];
  const tuple = (at: 0 | 1): ConnectionTuple => ({
    source: sources[at] ?? "",
    destination: destinations[at] ?? "",
    sourcePort: Number(sourcePorts[at] ?? 0),
    destinationPort: Number(destinationPorts[at] ?? 0),
  });
  return {
    zone: Number(values("zone")[0] ?? 0),
    protocol: Number(protocol),
    original: tuple(0),
    reply: tuple(1),
    mark: Number(values("mark")[0] ?? 0),
  };
}

/**
 * Deletes what the selectors match, in one process. What has gone by itself is no failure. By a file, because conntrack
 * opens /dev/stdin by its name, which sockets (as Node.js gives to its children) do not allow.
 */
export async function deleteConnections(selectors: readonly Selector[]): Promise<void> {
  if (selectors.length === 0) return;
  const folder = await mkdtemp(join(tmpdir(), "xgw-conntrack-"));
  try {
    const file = join(folder, "deletions");
    await writeFile(file, selectors.map((selector) => `${deletion(selector)}\n`).join(""));
    await run("conntrack", ["-R", file]);
    crashPoint("connections deleted");
  } finally {
    await rm(folder, { recursive: true });
  }
}

function deletion(selector: Selector): string {
  const options: [string, string | number | undefined][] = [
    ["-w", selector.zone],
    ["-p", selector.protocol],
    ["-m", selector.mark],
    ["-s", selector.source],
    ["-d", selector.destination],
    ["--sport", selector.sourcePort],
    ["--dport", selector.destinationPort],
  ];
  return [
    "-D -f ipv4",
    ...options.flatMap(([option, value]) => (value === undefined ? [] : [`${option} ${value}`])),
  ].join(" ");
}
