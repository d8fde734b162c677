/** The lab: builds the topology, starts xgw and the hosts' applications, and takes everything down again. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TunnelKind } from "../../src/model/desired.js";
import type { Lab } from "./check.js";
import { Host } from "./host.js";
import { addForeign, snapshot } from "./snapshot.js";
import { buildTopology, type Hosts, type TopologyOptions } from "./topology.js";
import { Xgw } from "./xgw.js";

export const exampleFile = (name: string) => fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));

/** A lab, and what the gateway in it is told to be. */
export interface LabOptions {
  readonly topology: TopologyOptions;
  /** Text of the config. */
  readonly config: string;
}

/** The seed deployment. */
export async function seedLab(kind: TunnelKind): Promise<LabOptions> {
  const text = await readFile(exampleFile("two-tenants.yaml"), "utf8");
  return {
    topology: { tunnels: [kind, kind] },
    config: text.replaceAll(/^( +)key: .*$/gm, `$&\n$1tunnel: ${kind}`),
  };
}

export async function withLab<T>(
  options: LabOptions,
  say: (line: string) => void,
  work: (lab: Lab) => Promise<T>,
): Promise<T> {
  say("building the lab: a gateway, a client, two tenants and a stranger on one switch");
  const folder = await mkdtemp(join(tmpdir(), "xgw-lab-"));
  const config = join(folder, "xgw.yaml");
  await writeFile(config, options.config);
  const topology = await buildTopology(`xgw${process.pid}`, options.topology);
  const started: Host[] = [];
  const start = async (name: keyof Hosts) => {
    const host = await Host.start(topology.hosts[name]);
    started.push(host);
    return host;
  };
  let xgw: Xgw | undefined;
  try {
    await addForeign(topology.hosts.gateway);
    const before = await snapshot(topology.hosts.gateway);
    const [client, user1, user2] = await Promise.all([start("client"), start("user1"), start("user2")]);
    xgw = new Xgw(topology.hosts.gateway, await start("gateway"), config);
    say("starting `xgw run` in the gateway");
    await xgw.startDaemon();
    return await work({ topology, client, user1, user2, xgw, before });
  } finally {
    await xgw?.stopDaemon("SIGKILL");
    await xgw?.run("teardown");
    await Promise.all(started.map((host) => host.stop()));
    await topology.destroy();
    await rm(folder, { recursive: true });
  }
}
