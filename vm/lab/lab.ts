/** The lab: builds the topology, starts xgw and the hosts' applications, and takes everything down again. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TunnelKind } from "../../src/model/desired.js";
import { repoRoot } from "../root.js";
import type { Lab } from "./check.js";
import { Host } from "./host.js";
import { addForeign, snapshot } from "./snapshot.js";
import { buildTopology, type Hosts, type TopologyOptions } from "./topology.js";
import { Xgw } from "./xgw.js";

export const exampleFile = (name: string) => join(repoRoot, "examples", name);

/** A lab, and what the gateway in it is told to be. */
export interface LabOptions {
  readonly topology: TopologyOptions;
  /** Text of the config. */
  readonly config: string;
  /** What a bulk transfer sends each way, bytes. */
  readonly bulkBytes: number;
}

/** The seed deployment. */
export async function seedLab(kind: TunnelKind, bulkBytes: number): Promise<LabOptions> {
  const text = await readFile(exampleFile("two-tenants.yaml"), "utf8");
  return {
    topology: { tunnels: [kind, kind] },
    config: text.replaceAll(/^( +)key: .*$/gm, `$&\n$1tunnel: ${kind}`),
    bulkBytes,
  };
}

export interface RunningLab extends Lab {
  stop(): Promise<void>;
}

export async function startLab(
  { topology: wanted, config: text, bulkBytes }: LabOptions,
  say: (line: string) => void,
): Promise<RunningLab> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    say("building the lab: a gateway, a client, two tenants and a stranger on one switch");
    const folder = await mkdtemp(join(tmpdir(), "xgw-lab-"));
    undo.push(() => rm(folder, { recursive: true }));
    const config = join(folder, "xgw.yaml");
    await writeFile(config, text);
    const topology = await buildTopology(`xgw${process.pid}`, wanted);
    undo.push(() => topology.destroy());
    await addForeign(topology.hosts.gateway);
    const before = await snapshot(topology.hosts.gateway);
    const start = (name: keyof Hosts) => {
      const host = new Host(topology.hosts[name]);
      undo.push(() => host.stop());
      return host;
    };
    const [client, user1, user2] = [start("client"), start("user1"), start("user2")];
    const xgw = new Xgw(topology.hosts.gateway, start("gateway"), config);
    undo.push(() => xgw.endCommands());
    undo.push(() => xgw.run("teardown"));
    undo.push(() => xgw.stopDaemon("SIGKILL"));
    say("starting `xgw run` in the gateway");
    await xgw.startDaemon();
    return { topology, client, user1, user2, xgw, before, bulkBytes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export async function withLab<T>(
  options: LabOptions,
  say: (line: string) => void,
  work: (lab: Lab) => Promise<T>,
): Promise<T> {
  const lab = await startLab(options, say);
  try {
    return await work(lab);
  } finally {
    await lab.stop();
  }
}
