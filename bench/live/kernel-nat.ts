/** The kernel's own way for the same job: plain IP forwarding with nft DNAT, its connections established. */
import { type FrameOptions, frame, innerOffset, service } from "../frame.js";
import type { Traffic } from "../generator.js";
import type { Injector } from "./injector.js";
import { addLane, type Lane, type Place } from "./wires.js";

const server = { address: "192.168.77.7", port: 8080 };
const next = { in: "192.168.1.2", out: "192.168.2.2" };
/** Long enough that no connection ends while it is measured, seconds. */
const timeout = 7200;

const rules = `
table ip xgw_bench {
  map services {
    type ipv4_addr . inet_service : ipv4_addr . inet_service
    elements = { ${service.address} . ${service.port} : ${server.address} . ${server.port} }
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    dnat ip to ip daddr . udp dport map @services
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct status dnat accept
  }
}
`;

/** Builds the lane; packets come to the kernel as from a driver with NAPI and GRO. */
export function kernelLane(gateway: Place, far: Place): Lane {
  const lane = addLane(gateway, far, "knat");
  for (const side of ["in", "out"] as const) {
    const device = `knat-${side}`;
    gateway.run("ethtool", "-K", device, "gro", "on");
    gateway.sysctl(`net.ipv4.conf.${device}.rp_filter=0`, `net.ipv4.conf.${device}.send_redirects=0`);
    gateway.ip(
      `address add ${next[side].replace(/2$/, "1")}/24 dev ${device}`,
      `neighbour add ${next[side]} lladdr 02:00:00:00:00:99 dev ${device} nud permanent`,
    );
  }
  gateway.ip(`route add 10.0.0.0/8 via ${next.in}`, `route add ${server.address}/32 via ${next.out}`);
  gateway.run("nft", rules);
  gateway.sysctl(
    ...["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.all.send_redirects=0"],
    `net.netfilter.nf_conntrack_udp_timeout=${timeout}`,
    `net.netfilter.nf_conntrack_udp_timeout_stream=${timeout}`,
  );
  return lane;
}

const options: FrameOptions = { wrap: "plain", protocol: "udp" };

export function natTraffic(flows: number): Traffic {
  return { frame: frame(options), inner: innerOffset("plain"), flows };
}

function replies(flows: number): Traffic {
  const tuple = { from: server.address, fromPort: server.port, to: "0.0.0.0", toPort: 0 };
  return { frame: frame({ ...options, tuple }), inner: innerOffset("plain"), flows, replies: true };
}

/** A packet to and fro of each flow: conntrack has all connections, and has seen replies. */
export function establish(injector: Injector, lane: Lane, flows: number): void {
  injector.send(natTraffic(flows), lane.farIn, flows);
  injector.send(replies(flows), lane.farOut, flows);
}

/** @throws when conntrack has not as many connections as there are flows. */
export function checkConnections(gateway: Place, flows: number): void {
  const count = Number(gateway.run("sysctl", "-n", "net.netfilter.nf_conntrack_count"));
  if (count < flows) throw new Error(`conntrack has ${count} connections of ${flows}`);
}
