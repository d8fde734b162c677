/** A tenant with a policy in a network namespace where the kernel would forward all of its packets. */

import type { DeviceNames } from "../../../src/datapath/layout.js";
import type { Desired, DesiredTenant } from "../../../src/model/desired.js";
import { compilePolicy, type PolicyRule } from "../../../src/model/policy.js";
import { type Limits, noLimits } from "../../../src/model/shares.js";
import { render } from "../../../src/plan/render.js";
import type { State } from "../../../src/plan/state.js";
import type { Namespace } from "./kernel.js";
import { clientEndpoint, type TestTenant } from "./world.js";

/** In place of the VRF: a veth, of which all kernels have the kind. nft knows VRFs by this name. */
export const vrf = "xvrf1000";
const tunnelKey = 3000;
const tenantId = 5;

/** Everything is routed out of the veth's other end, to a neighbour that does not exist. */
export function forwardAll({ ip, exec, veth }: Namespace): DeviceNames {
  ip("link", "set", "v0", "down");
  ip("link", "set", "v0", "name", vrf);
  ip("link", "set", vrf, "up");
  ip("addr", "add", "10.0.0.1/24", "dev", vrf, "noprefixroute");
  ip("neigh", "add", "192.0.2.2", "lladdr", "02:ff:00:00:00:01", "dev", "v1");
  ip("route", "add", "default", "via", "192.0.2.2", "dev", "v1", "onlink");
  for (const name of ["all", vrf, "v1"]) exec("sysctl", "-qw", `net.ipv4.conf.${name}.rp_filter=0`);
  exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
  return { indexOf: (name) => (name === vrf ? veth[0] : 0), nameOf: (index) => `${index}` };
}

export interface TestPolicy {
  readonly inbound?: readonly PolicyRule[];
  readonly outbound?: readonly PolicyRule[];
  readonly publicIps?: DesiredTenant["publicIps"];
  readonly portForwards?: DesiredTenant["portForwards"];
  readonly limits?: Partial<Limits>;
}

/** What the gateway would write for a tenant with that policy. */
export function stateWith(policy: TestPolicy): State {
  const tenant: DesiredTenant = {
    name: "judged",
    key: tunnelKey,
    id: tenantId,
    routeTable: 100_000 + tenantId,
    vrf,
    tunnel: vrf,
    tunnelKind: "gretap",
    addresses: ["10.0.0.1/24"],
    routes: [],
    peers: [clientEndpoint],
    publicIps: policy.publicIps ?? [],
    portForwards: policy.portForwards ?? [],
    snat: undefined,
    inbound: compilePolicy(policy.inbound ?? []),
    outbound: compilePolicy(policy.outbound ?? []),
    established: "keep",
    limits: { ...noLimits, ...policy.limits },
  };
  const desired: Desired = {
    instance: "gw1",
    underlay: { device: "eth0", address: "172.168.0.1" },
    nics: [],
    mayForward: false,
    tenants: [tenant],
    maxTenants: 8192,
    capacities: noLimits,
    shares: noLimits,
    newPool: 0,
    pools: { sessions: 0, neighbours: 0 },
    rooms: { sessions: 0, neighbours: 0 },
    promised: { sessions: 0, neighbours: 0 },
    fragmentMemory: 0,
  };
  return render(desired, {
    underlayMtu: 1500,
    underlayDevices: ["eth0"],
    timeouts: { tcpTimeoutMs: 0, udpTimeoutMs: 0, tcpTimeoutTicks: 0, udpTimeoutTicks: 0 },
    families: ["ipv4"],
    fingerprint: "f00df00df00d",
  });
}

/** The tenant as XDP has to know it. */
export const judged: TestTenant = {
  id: tenantId,
  key: tunnelKey,
  zone: tenantId,
  wrap: "gretap",
  mtu: 1458,
  peers: [clientEndpoint],
};
