/** What there is in the gateway's namespace and in bpffs, as text: equal texts, nothing left and nothing lost. */

import type { Namespace } from "./netns.js";

/** Things of somebody else, which xgw must leave alone. */
export async function addForeign(gateway: Namespace): Promise<void> {
  await gateway.ip(
    "link add foreign0 type dummy",
    "addr add 192.0.2.1/24 dev foreign0",
    "link set foreign0 up",
    "link add foreignvrf type vrf table 77",
    "link set foreignvrf up",
    "route add 198.51.100.0/24 dev foreign0 table 77",
  );
  await gateway.run("nft", "add table ip foreign; add chain ip foreign c; add rule ip foreign c counter");
}

export async function snapshot(gateway: Namespace): Promise<string> {
  const parts = [
    await gateway.run("ip", "-o", "-d", "link", "show"),
    await gateway.run("ip", "-o", "-4", "addr", "show"),
    await gateway.run("ip", "-4", "rule", "show"),
    await gateway.run("ip", "-4", "route", "show", "table", "all"),
    await gateway.run("nft", "list", "ruleset"),
    await gateway.run("find", "/sys/fs/bpf"),
    await gateway.run("bpftool", "prog", "show"),
    await gateway.run("bpftool", "map", "show"),
  ];
  // A device that XDP was on may have kept counters or offload settings, not part of what it is.
  return parts.join("\n").replaceAll(/ +/g, " ");
}
