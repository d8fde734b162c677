/** The lab: builds the topology, starts xgw and the hosts' applications, and takes everything down again. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TunnelKind } from "../../src/model/desired.js";
import type { Lab } from "./check.js";
import { Host } from "./host.js";
import { addForeign, snapshot } from "./snapshot.js";
import { buildTopology, type Hosts } from "./topology.js";
import { Xgw } from "./xgw.js";

const example = fileURLToPath(new URL("../../../examples/two-tenants.yaml", import.meta.url));

export async function withLab<T>(
  kind: TunnelKind,
  say: (line: string) => void,
  work: (lab: Lab) => Promise<T>,
): Promise<T> {
  say("building the lab: a gateway, a client, two tenants and a stranger on one switch");
  const folder = await mkdtemp(join(tmpdir(), "xgw-lab-"));
  const config = join(folder, "xgw.yaml");
  await writeFile(config, (await readFile(example, "utf8")).replaceAll(/^( +)key: .*$/gm, `$&\n$1tunnel: ${kind}`));
  const topology = await buildTopology(`xgw${process.pid}`, kind);
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
