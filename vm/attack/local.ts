/**
 * What the gateway takes for itself: its input hook is watched by a table of the test's own, and sockets listen in its main
 * network as a careless service would, on all addresses.
 */

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readSet } from "../../src/kernel/nftables.js";
import { here } from "../lab/own-namespace.js";
import { type Nonce, noncesIn } from "./nonce.js";
import type { Local } from "./oracle.js";

const table = "attack_input";

/*
 * Outer packets of tunnels are taken on the underlay; what is in them has the number as its IP id. What the gateway itself has
 * sent, and takes as one of many, has an id of its own, that may be a packet's by chance. Of IPv6 nothing may be taken in a
 * tenant but what is sent to all.
 */
const rules = `
table ip ${table} {
	set own { typeof ip saddr . ip daddr . ip protocol . ip id; flags dynamic; size 65535; }
	set taken { typeof iifname . ip saddr . ip daddr . ip protocol . ip id; flags dynamic; size 65535; }
	chain input {
		type filter hook input priority 300; policy accept;
		iifname "lo" return
		iifname != { "xvrf*", "xgre*" } ip protocol gre return
		ip saddr . ip daddr . ip protocol . ip id @own return
		ip id != 0 update @taken { iifname . ip saddr . ip daddr . ip protocol . ip id }
	}
	chain output {
		type filter hook output priority 300; policy accept;
		ip id != 0 update @own { ip saddr . ip daddr . ip protocol . ip id }
	}
}
table ip6 ${table} {
	set taken { typeof ip6 saddr . ip6 daddr; flags dynamic; size 65535; }
	chain input {
		type filter hook input priority 300; policy accept;
		ip6 daddr != ff00::/8 iifname { "xvrf*", "xgre*" } update @taken { ip6 saddr . ip6 daddr }
	}
}
`;

/** UDP ports of the services. */
const ports = [53, 4789, 5000] as const;

export class LocalDeliveries {
  private readonly sockets: Socket[] = [];
  private received: Nonce[] = [];

  private constructor() {}

  static async watch(): Promise<LocalDeliveries> {
    const watched = new LocalDeliveries();
    await here.run("nft", rules);
    for (const port of ports)
      for (const type of ["udp4", "udp6"] as const) {
        const socket = createSocket({ type, ipv6Only: type === "udp6" });
        socket.on("message", (message) => watched.received.push(...noncesIn(message)));
        socket.bind(port);
        await once(socket, "listening");
        watched.sockets.push(socket);
      }
    return watched;
  }

  /** Since the last time. */
  async take(): Promise<{
    readonly packets: readonly Local[];
    readonly six: readonly string[];
    readonly received: readonly Nonce[];
  }> {
    const packets = (readSet(table, "taken", keyTypes) ?? []).map(({ key }) => {
      const [device = "", src = "", dst = "", protocol, id] = key.split(" . ");
      return { device, src, dst, protocol: Number(protocol), id: Number(id) };
    });
    const six = await elements6();
    for (const set of [`ip ${table} own`, `ip ${table} taken`, `ip6 ${table} taken`])
      await here.run("nft", "flush", "set", ...set.split(" "));
    const received = this.received;
    this.received = [];
    return { packets, six, received };
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.close();
    for (const family of ["ip", "ip6"]) await here.run("nft", "delete", "table", family, table);
  }
}

/** As the kernel has them: the IP id is 16 bits in network order, as a port is. */
const keyTypes = { key: ["iifname", "ip saddr", "ip daddr", "ip protocol", "th dport"], value: [] } as const;

async function elements6(): Promise<string[]> {
  const { nftables } = JSON.parse(await here.run("nft", "-j", "list", "set", "ip6", table, "taken")) as {
    nftables: { set?: { elem?: { concat: string[] }[] } }[];
  };
  return nftables.flatMap(({ set }) => (set?.elem ?? []).map(({ concat: [src, dst] }) => `${src} > ${dst}`));
}
