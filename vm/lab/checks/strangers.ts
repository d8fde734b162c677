/** Packets that XDP refuses before the stack sees them. */

import type { Check } from "../check.js";
import type { Namespace } from "../netns.js";
import { tunnel } from "../topology.js";

/** Sends pings by a tunnel of its own; the neighbour is made up, since nobody answers. */
async function pingByTunnel(host: Namespace, local: string, key: number, count: number): Promise<number> {
  await tunnel(host, "gretap", local, key, "10.0.0.66/24");
  await host.ip(`neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev gre${key}`);
  const { stdout } = await host.tryRun("ping", "-n", "-c", `${count}`, "-i", "0.2", "-W", "1", "10.0.0.1");
  await host.ip(`link del gre${key}`);
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
}

const count = 5;

export const unknownKeyDropped: Check = {
  id: "unknown-key",
  title: "a packet with a key that no tenant has",
  wanted: `dropped by XDP, ${count} counted under unknown_key`,
  async run({ topology, xgw }) {
    const before = (await xgw.counted()).nobody.unknown_key?.packets ?? 0;
    const answers = await pingByTunnel(topology.hosts.client, "172.168.0.7", 4242, count);
    const dropped = ((await xgw.counted()).nobody.unknown_key?.packets ?? 0) - before;
    return { ok: answers === 0 && dropped === count, seen: `${dropped} dropped, ${answers} answered` };
  },
};

export const strangerDropped: Check = {
  id: "stranger",
  title: "user1's key from a stranger's outer address",
  wanted: `dropped by XDP, ${count} counted under stranger`,
  async run({ topology, xgw }) {
    const before = (await xgw.tenant("user1")).xdp.stranger?.packets ?? 0;
    const answers = await pingByTunnel(topology.hosts.stranger, "172.168.0.66", 1000, count);
    const dropped = ((await xgw.tenant("user1")).xdp.stranger?.packets ?? 0) - before;
    return { ok: answers === 0 && dropped === count, seen: `${dropped} dropped, ${answers} answered` };
  },
};
