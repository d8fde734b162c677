// From one config to another: which steps, for whom, in which order.
import { describe, expect, it } from "vitest";
import { diff } from "../../../src/plan/diff.js";
import { render } from "../../../src/plan/render.js";
import { type TagOffload, tagOffloadId } from "../../../src/plan/state.js";
import { phaseOrder, type Step, stepsOf } from "../../../src/plan/steps.js";
import {
  context,
  described,
  desiredOf,
  exampleText,
  inKernel,
  nothing,
  stateOf,
  stepsBetween,
  thirdTenant,
  withDevice,
} from "./fixture.js";

const example = await exampleText();

describe("the first apply", async () => {
  const steps = diff(await stateOf(example), nothing);

  it("builds everything, in this order", () => {
    expect(described(steps)).toEqual([
      "+ programs f00df00df00d",
      "~ ip rules of ipv4: tenants' tables before the gateway's own addresses",
      "~ ip rules of ipv6: tenants' tables before the gateway's own addresses",
      "+ device xvrf1000: vrf, route table 100001",
      "+ device xgre1000: gretap, key 1000, local 172.168.0.1, mtu 1458, in xvrf1000",
      "+ device xvrf2000: vrf, route table 100002",
      "+ device xgre2000: gretap, key 2000, local 172.168.0.1, mtu 1458, in xvrf2000",
      "~ sysctl net.netfilter.nf_conntrack_buckets = 212992",
      "~ sysctl net.netfilter.nf_conntrack_max = 425984",
      "~ sysctl net.ipv4.neigh.default.gc_thresh2 = 73728",
      "~ sysctl net.ipv4.neigh.default.gc_thresh3 = 81920",
      "~ sysctl net.ipv4.ipfrag_high_thresh = 16777216",
      "~ sysctl net.ipv4.ipfrag_time = 5",
      "~ sysctl net.ipv4.ip_forward = 1",
      "~ sysctl net.ipv4.ip_forward_use_pmtu = 1",
      "~ sysctl net.netfilter.nf_conntrack_tcp_be_liberal = 1",
      "~ sysctl net.ipv4.conf.eth0.forwarding = 1",
      "~ sysctl net.ipv4.conf.eth0.rp_filter = 0",
      "~ sysctl net.ipv4.conf.all.accept_redirects = 0",
      "~ sysctl net.ipv4.conf.all.send_redirects = 0",
      "~ sysctl net.ipv4.conf.xvrf1000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xvrf1000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre1000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xgre1000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre1000.send_redirects = 0",
      "~ sysctl net.ipv4.conf.xgre1000.promote_secondaries = 1",
      "~ sysctl net.ipv4.conf.xvrf2000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xvrf2000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre2000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xgre2000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre2000.send_redirects = 0",
      "~ sysctl net.ipv4.conf.xgre2000.promote_secondaries = 1",
      "+ address 1.1.1.11/24 on xgre1000",
      "+ address 10.0.0.1/24 on xgre1000",
      "+ address 1.1.1.12/24 on xgre2000",
      "+ address 10.0.0.1/24 on xgre2000",
      "+ route default in table 100001: unreachable, when nothing else is left",
      "+ route default (ipv6) in table 100001: unreachable, when nothing else is left",
      "+ route 2.2.2.11/32 in table 100001: unreachable",
      "+ route 10.0.0.7/32 in table 100001: via 172.168.0.11, key 1000, dev xgre1000",
      "+ route 1.1.1.7/32 in table 100001: via 172.168.0.7, key 1000, dev xgre1000",
      "+ route default in table 100002: unreachable, when nothing else is left",
      "+ route default (ipv6) in table 100002: unreachable, when nothing else is left",
      "+ route 2.2.2.12/32 in table 100002: unreachable",
      "+ route 10.0.0.7/32 in table 100002: via 172.168.0.12, key 2000, dev xgre2000",
      "+ route 1.1.1.7/32 in table 100002: via 172.168.0.7, key 2000, dev xgre2000",
      "+ nft rules",
      "+ device xgre1000 in flowtable fastpath0",
      "+ device xgre2000 in flowtable fastpath0",
      "+ nft underlay: eth0",
      "+ nft sides: eth0",
      "+ nft other_sides: eth0",
      "+ nft other_hosts: eth0",
      "+ nft gre_keys: 172.168.0.1 . 1000 : 1",
      "+ nft gre_peers: eth0 . 172.168.0.7 . 1000 : 1",
      "+ nft gre_peers: eth0 . 172.168.0.11 . 1000 : 1",
      "+ nft own_tunnel: 1 . xgre1000",
      "+ nft zones: xgre1000 : 1",
      "+ nft dnat_to: 1 . 2.2.2.11 : 10.0.0.7",
      "+ nft snat_to: 1 . 10.0.0.7 : 2.2.2.11",
      "+ nft segment: 1 : 1418",
      "+ nft inbound: 1 . 1 . 0.0.0.0-255.255.255.255 . 0-65535 : 3",
      "+ nft inbound: 1 . 6 . 0.0.0.0-255.255.255.255 . 22 : 1",
      "+ nft inbound: 1 . 17 . 0.0.0.0-255.255.255.255 . 5000 : 2",
      "+ nft outbound: 1 . 0-5 . 0.0.0.0-255.255.255.255 . 0-65535 : 65538",
      "+ nft outbound: 1 . 6 . 0.0.0.0-255.255.255.255 . 0-21 : 65538",
      "+ nft outbound: 1 . 6 . 0.0.0.0-255.255.255.255 . 22 : 2147549185",
      "+ nft outbound: 1 . 6 . 0.0.0.0-255.255.255.255 . 23-65535 : 65538",
      "+ nft outbound: 1 . 7-255 . 0.0.0.0-255.255.255.255 . 0-65535 : 65538",
      "+ nft gre_keys: 172.168.0.1 . 2000 : 2",
      "+ nft gre_peers: eth0 . 172.168.0.7 . 2000 : 2",
      "+ nft gre_peers: eth0 . 172.168.0.12 . 2000 : 2",
      "+ nft own_tunnel: 2 . xgre2000",
      "+ nft zones: xgre2000 : 2",
      "+ nft dnat_to: 2 . 2.2.2.12 : 10.0.0.7",
      "+ nft snat_to: 2 . 10.0.0.7 : 2.2.2.12",
      "+ nft segment: 2 : 1418",
      "+ nft inbound: 2 . 1 . 0.0.0.0-255.255.255.255 . 0-65535 : 3",
      "+ nft inbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 23 : 1",
      "+ nft inbound: 2 . 17 . 0.0.0.0-255.255.255.255 . 5000 : 2",
      "+ nft outbound: 2 . 0-5 . 0.0.0.0-255.255.255.255 . 0-65535 : 65538",
      "+ nft outbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 0-22 : 65538",
      "+ nft outbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 23 : 2147549185",
      "+ nft outbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 24-65535 : 65538",
      "+ nft outbound: 2 . 7-255 . 0.0.0.0-255.255.255.255 . 0-65535 : 65538",
      "+ map settings : established TCP 432000 s, UDP 120 s; anybody's 131072 sessions, 32768 newPerSecond, 32768 neighbours",
      "+ map limits 0 : sessions 128, newPerSecond 32768, flows 262144, templates 16384, rules 6144, eventsPerSecond 8192, neighbours 16384",
      "+ map nics eth0",
      "+ map limits 1 : sessions 100000, newPerSecond 5000",
      "+ map tenants 1000",
      "+ map tunnels xgre1000",
      "+ map tunnels xvrf1000",
      "+ map peers 1 172.168.0.7",
      "+ map peers 1 172.168.0.11",
      "+ map endpoints 1 10.0.0.7/32 : 172.168.0.11",
      "+ map endpoints 1 1.1.1.7/32 : 172.168.0.7",
      "+ map public_ips 2.2.2.11",
      "+ map destinations 1 2.2.2.11 0 0/0 : 10.0.0.7 0",
      "+ map policy_networks 1 inbound 0.0.0.0/0 : 7f6c871d0c873ff2",
      "+ map policy_networks 1 outbound 0.0.0.0/0 : 254c46e639a4157a",
      "+ map limits 2 : sessions 100000, newPerSecond 5000",
      "+ map tenants 2000",
      "+ map tunnels xgre2000",
      "+ map tunnels xvrf2000",
      "+ map peers 2 172.168.0.7",
      "+ map peers 2 172.168.0.12",
      "+ map endpoints 2 10.0.0.7/32 : 172.168.0.12",
      "+ map endpoints 2 1.1.1.7/32 : 172.168.0.7",
      "+ map public_ips 2.2.2.12",
      "+ map destinations 2 2.2.2.12 0 0/0 : 10.0.0.7 0",
      "+ map policy_networks 2 inbound 0.0.0.0/0 : 2f7a67ae05d77bc2",
      "+ map policy_networks 2 outbound 0.0.0.0/0 : 5f9fa41e0c3fe526",
      "+ map policy_services 7f6c871d0c873ff2 6 22/24 : 1",
      "+ map policy_services 7f6c871d0c873ff2 17 5000/24 : 2",
      "+ map policy_services 254c46e639a4157a 0 0/0 : 65538",
      "+ map policy_services 254c46e639a4157a 6 22/24 : 2147549185",
      "+ map policy_services 2f7a67ae05d77bc2 6 23/24 : 1",
      "+ map policy_services 2f7a67ae05d77bc2 17 5000/24 : 2",
      "+ map policy_services 5f9fa41e0c3fe526 0 0/0 : 65538",
      "+ map policy_services 5f9fa41e0c3fe526 6 23/24 : 2147549185",
      "+ attach xgw_xdp (f00df00df00d) to eth0, xdp native",
      "+ attach xgw_learn (f00df00df00d) to eth0, tcx-egress",
      "+ attach xgw_arp (f00df00df00d) to xgre1000, tcx-egress",
      "+ attach xgw_enter (f00df00df00d) to xgre1000, tcx-ingress",
      "+ attach xgw_arp (f00df00df00d) to xgre2000, tcx-egress",
      "+ attach xgw_enter (f00df00df00d) to xgre2000, tcx-ingress",
      "+ attach xgw_nic_arp (f00df00df00d) to eth0, tcx-ingress",
      "+ attach xgw_session_born (f00df00df00d) to conntrack, function",
      "+ attach xgw_session_died (f00df00df00d) to conntrack, function",
      "+ attach xgw_session_refused (f00df00df00d) to conntrack, function",
      "+ attach xgw_neighbour_made (f00df00df00d) to neighbours, tracepoint",
      "+ attach xgw_neighbour_seen (f00df00df00d) to neighbours, tracepoint",
      "+ attach xgw_neighbour_asked (f00df00df00d) to neighbours, tracepoint",
      "+ attach xgw_neighbour_gone (f00df00df00d) to neighbours, tracepoint",
      "+ attach xgw_not_redirected (f00df00df00d) to nics, tracepoint",
      "+ attach xgw_not_taken (f00df00df00d) to nics, tracepoint",
      "+ attach xgw_not_transmitted (f00df00df00d) to nics, tracepoint",
      "+ attach xgw_not_transmitted_at_once (f00df00df00d) to nics, tracepoint",
      "+ attach xgw_fragment (f00df00df00d) to prerouting, netfilter",
      "+ attach xgw_reassembled (f00df00df00d) to prerouting, netfilter",
      "+ attach xgw_quota (f00df00df00d) to forward, netfilter",
      "+ attach xgw_quota (f00df00df00d) to local_in, netfilter",
      "+ attach xgw_next_hop (f00df00df00d) to postrouting, netfilter",
    ]);
  });

  it("bumps no generation: there is no flow yet", () => {
    expect(stepsOf(steps, "generation.bump")).toEqual([]);
  });
});

it("a second apply has nothing to do", async () => {
  expect(described(await stepsBetween(example, example))).toEqual([]);
});

describe("two records", () => {
  const routes = (...fields: Record<string, unknown>[]) =>
    new Map(fields.map((route) => ["100001 10.0.0.0/8", route])) as unknown as typeof nothing.routes;
  const stepsOfRoutes = (is: Record<string, unknown>, was: Record<string, unknown>) =>
    diff({ ...nothing, routes: routes(is) }, { ...nothing, routes: routes(was) }).length;
  const route = { routeTable: 100_001, to: "10.0.0.0/8", tunnel: { device: "xgre1", via: "172.168.0.7", key: 1 } };

  it.each([
    ["that say the same in another order", { to: route.to, tunnel: { ...route.tunnel }, routeTable: 100_001 }, 0],
    ["one of which leaves out what the other has as undefined", { ...route, metric: undefined }, 0],
    ["that differ deep within", { ...route, tunnel: { ...route.tunnel, key: 2 } }, 1],
    ["one of which has more", { ...route, metric: 5 }, 1],
    ["one of which has null", { ...route, tunnel: null }, 1],
  ])("%s", (_what, other, count) => {
    expect([stepsOfRoutes(route, other), stepsOfRoutes(other, route)]).toEqual([count, count]);
  });
});

it("a change that died before its end is ended: the tenant's flows are decided anew", async () => {
  const wanted = await stateOf(example);
  expect(described(diff(wanted, { ...wanted, unsettled: new Set([2]) }))).toEqual([
    "> connections of tenant 2 end where they are no longer admitted",
    "> generation of tenant 2: its flows are decided anew",
  ]);
});

describe("a tenant that is added", async () => {
  const steps = await stepsBetween(example, example + thirdTenant);

  it("is all that the steps are about but for the shares, and no tenant's generation moves", () => {
    expect(described(steps)).toEqual([
      "+ device xvrf3000: vrf, route table 100003",
      "+ device xgre3000: gre, key 3000, local 172.168.0.1, mtu 1472, in xvrf3000",
      "~ sysctl net.ipv4.conf.xvrf3000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xvrf3000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre3000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xgre3000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre3000.send_redirects = 0",
      "~ sysctl net.ipv4.conf.xgre3000.promote_secondaries = 1",
      "+ address 10.0.0.1/24 on xgre3000",
      "+ neighbour 172.168.0.13 on xgre3000",
      "+ route default in table 100003: unreachable, when nothing else is left",
      "+ route default (ipv6) in table 100003: unreachable, when nothing else is left",
      "+ route 2.2.2.13/32 in table 100003: unreachable",
      "+ route 10.0.0.8/32 in table 100003: via 172.168.0.13, dev xgre3000",
      "+ device xgre3000 in flowtable fastpath0",
      "+ nft gre_keys: 172.168.0.1 . 3000 : 3",
      "+ nft gre_peers: eth0 . 172.168.0.13 . 3000 : 3",
      "+ nft own_tunnel: 3 . xgre3000",
      "+ nft zones: xgre3000 : 3",
      "+ nft forward_to: 3 . 2.2.2.13 . 6 . 80 : 10.0.0.8 . 8080",
      "+ nft segment: 3 : 1432",
      "+ nft inbound: 3 . 6 . 0.0.0.0-255.255.255.255 . 8080 : 1",
      "+ nft outbound: 3 . 0-255 . 0.0.0.0-255.255.255.255 . 0-65535 : 65537",
      "+ map tenants 3000",
      "+ map tunnels xgre3000",
      "+ map tunnels xvrf3000",
      "+ map peers 3 172.168.0.13",
      "+ map endpoints 3 10.0.0.8/32 : 172.168.0.13",
      "+ map public_ips 2.2.2.13",
      "+ map destinations 3 2.2.2.13 6 80/24 : 10.0.0.8 8080",
      "+ map policy_networks 3 inbound 0.0.0.0/0 : f51d23b052a19cad",
      "+ map policy_networks 3 outbound 0.0.0.0/0 : f0bb10084aa10e01",
      "+ map policy_services f51d23b052a19cad 6 8080/24 : 1",
      "+ map policy_services f0bb10084aa10e01 0 0/0 : 65537",
      "~ map limits 0 : sessions 128, newPerSecond 32768, flows 174762, templates 10922, rules 4096, eventsPerSecond 5461, neighbours 10922",
      "+ attach xgw_enter (f00df00df00d) to xgre3000, tcx-ingress",
      "> keys that no tenant had are looked up anew",
    ]);
  });
});

it("a tenant that is removed leaves in the order: maps, slow path, generation, programs, devices", async () => {
  expect(
    described(await stepsBetween(example + thirdTenant.replace("tunnel: gre", "tunnel: gretap"), example)),
  ).toEqual([
    "- device xgre3000 in flowtable fastpath0",
    "- nft gre_keys: 172.168.0.1 . 3000",
    "- nft gre_peers: eth0 . 172.168.0.13 . 3000",
    "- nft own_tunnel: 3 . xgre3000",
    "- nft zones: xgre3000",
    "- nft forward_to: 3 . 2.2.2.13 . 6 . 80",
    "- nft segment: 3",
    "- nft inbound: 3 . 6 . 0.0.0.0-255.255.255.255 . 8080",
    "- nft outbound: 3 . 0-255 . 0.0.0.0-255.255.255.255 . 0-65535",
    "~ map limits 0 : sessions 128, newPerSecond 32768, flows 262144, templates 16384, rules 6144, eventsPerSecond 8192, neighbours 16384",
    "> connections of tenant 3 end",
    "- map tenants 3000",
    "- map tunnels xgre3000",
    "- map tunnels xvrf3000",
    "- map peers 3 172.168.0.13",
    "- map endpoints 3 10.0.0.8/32",
    "- map public_ips 2.2.2.13",
    "- map destinations 3 2.2.2.13 6 80/24",
    "- map policy_networks 3 inbound 0.0.0.0/0",
    "- map policy_networks 3 outbound 0.0.0.0/0",
    "- map policy_services f51d23b052a19cad 6 8080/24",
    "- map policy_services f0bb10084aa10e01 0 0/0",
    "- route default in table 100003: unreachable, when nothing else is left",
    "- route default (ipv6) in table 100003: unreachable, when nothing else is left",
    "- route 2.2.2.13/32 in table 100003: unreachable",
    "- route 10.0.0.8/32 in table 100003: via 172.168.0.13, key 3000, dev xgre3000",
    "- address 10.0.0.1/24 on xgre3000",
    "> generation of tenant 3: its flows are decided anew",
    "> keys that no tenant had are looked up anew",
    "- attachment arp_xgre3000",
    "- attachment enter_xgre3000",
    "- device xvrf3000",
    "- device xgre3000",
  ]);
});

describe("a change to one tenant bumps that tenant only", () => {
  const cases: readonly (readonly [string, readonly [string, string], readonly string[]])[] = [
    [
      "the endpoint of a route",
      ["to: 10.0.0.7/32, via: 172.168.0.12", "to: 10.0.0.7/32, via: 172.168.0.99"],
      [
        "~ route 10.0.0.7/32 in table 100002: via 172.168.0.99, key 2000, dev xgre2000",
        "- nft gre_peers: eth0 . 172.168.0.12 . 2000",
        "+ nft gre_peers: eth0 . 172.168.0.99 . 2000 : 2",
        "+ map peers 2 172.168.0.99",
        "~ map endpoints 2 10.0.0.7/32 : 172.168.0.99",
        "- map peers 2 172.168.0.12",
        "> generation of tenant 2: its flows are decided anew",
      ],
    ],
    [
      "a public address",
      ["{ address: 2.2.2.12, to: 10.0.0.7 }", "{ address: 2.2.2.22, to: 10.0.0.7 }"],
      [
        "+ route 2.2.2.22/32 in table 100002: unreachable",
        "- nft dnat_to: 2 . 2.2.2.12",
        "+ nft dnat_to: 2 . 2.2.2.22 : 10.0.0.7",
        "~ nft snat_to: 2 . 10.0.0.7 : 2.2.2.22",
        "+ map public_ips 2.2.2.22",
        "+ map destinations 2 2.2.2.22 0 0/0 : 10.0.0.7 0",
        "> connections of tenant 2 end where they are no longer admitted",
        "- map public_ips 2.2.2.12",
        "- map destinations 2 2.2.2.12 0 0/0",
        "- route 2.2.2.12/32 in table 100002: unreachable",
        "> generation of tenant 2: its flows are decided anew",
      ],
    ],
    [
      "a policy: what is cut anew is deleted before it is added, for nft allows no overlap",
      ["- { deny: tcp, ports: [23] }", "- { deny: tcp, ports: [23, 25] }"],
      [
        "- nft outbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 24-65535",
        "+ nft outbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 24 : 65538",
        "+ nft outbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 25 : 2147549185",
        "+ nft outbound: 2 . 6 . 0.0.0.0-255.255.255.255 . 26-65535 : 65538",
        "+ map policy_services 7f6dbae795ea1c4e 0 0/0 : 65538",
        "+ map policy_services 7f6dbae795ea1c4e 6 23/24 : 2147549185",
        "+ map policy_services 7f6dbae795ea1c4e 6 25/24 : 2147549185",
        "~ map policy_networks 2 outbound 0.0.0.0/0 : 7f6dbae795ea1c4e",
        "> connections of tenant 2 end where they are no longer admitted",
        "- map policy_services 5f9fa41e0c3fe526 0 0/0",
        "- map policy_services 5f9fa41e0c3fe526 6 23/24",
        "> generation of tenant 2: its flows are decided anew",
      ],
    ],
    [
      "an address of the gateway",
      ["addresses: [1.1.1.12/24", "addresses: [1.1.1.13/24"],
      [
        "+ address 1.1.1.13/24 on xgre2000",
        "- address 1.1.1.12/24 on xgre2000",
        "> generation of tenant 2: its flows are decided anew",
      ],
    ],
  ];
  for (const [name, change, wanted] of cases)
    it(name, async () => {
      expect(described(await stepsBetween(example, await exampleText(change)))).toEqual(wanted);
    });

  it("its name: the devices' owner is set, and they stay", async () => {
    const steps = await stepsBetween(example, await exampleText(["name: user2", "name: shop"]));
    expect(steps.map((step) => [step.kind, "name" in step ? step.name : ""])).toEqual([
      ["device.set", "xvrf2000"],
      ["device.set", "xgre2000"],
      ["generation.bump", ""],
    ]);
  });

  it("its limits: their entry, and its flows stay", async () => {
    const text = await exampleText(["sessions: 100000", "sessions: 7"]);
    expect(described(await stepsBetween(example, text))).toEqual(["~ map limits 1 : sessions 7, newPerSecond 5000"]);
  });

  it("the kind of its tunnel, back again: nothing is deleted that went with the old device", async () => {
    const gre = await exampleText(["key: 2000", "key: 2000\n    tunnel: gre"]);
    const fewer = await exampleText(
      ["addresses: [1.1.1.12/24, 10.0.0.1/24]", "addresses: [10.0.0.1/24]"],
      ["172.168.0.12 }\n      - { to: 1.1.1.7/32, via: 172.168.0.7 }\n", "172.168.0.12 }\n"],
    );
    for (const text of [example, fewer])
      expect(
        described(await stepsBetween(gre, text)).filter((step) => /^- (address|neighbour|route)/.test(step)),
      ).toEqual([]);
  });

  it("the kind of its tunnel: the device is made anew, and no other tenant moves", async () => {
    const text = await exampleText(["key: 2000", "key: 2000\n    tunnel: gre"]);
    expect(described(await stepsBetween(example, text))).toEqual([
      "~ device xgre2000, made anew: gre, key 2000, local 172.168.0.1, mtu 1472, in xvrf2000",
      "~ sysctl net.ipv4.conf.xgre2000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xgre2000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre2000.send_redirects = 0",
      "~ sysctl net.ipv4.conf.xgre2000.promote_secondaries = 1",
      "+ address 1.1.1.12/24 on xgre2000",
      "+ address 10.0.0.1/24 on xgre2000",
      "+ neighbour 172.168.0.7 on xgre2000",
      "+ neighbour 172.168.0.12 on xgre2000",
      "+ route 10.0.0.7/32 in table 100002: via 172.168.0.12, dev xgre2000",
      "+ route 1.1.1.7/32 in table 100002: via 172.168.0.7, dev xgre2000",
      "+ device xgre2000 in flowtable fastpath0",
      "~ nft segment: 2 : 1432",
      "+ map tunnels xgre2000",
      "~ map tenants 2000",
      "~ map public_ips 2.2.2.12",
      "~ attach xgw_enter (f00df00df00d) to xgre2000, tcx-ingress",
      "- map tunnels #13",
      "> generation of tenant 2: its flows are decided anew",
      "- attachment arp_xgre2000",
    ]);
  });

  it("its key: another tenant in all but the name, with an id of its own", async () => {
    const steps = await stepsBetween(example, await exampleText(["key: 2000", "key: 2001"]));
    expect([
      stepsOf(steps, "device.add").map(({ name }) => name),
      stepsOf(steps, "device.delete").map(({ name }) => name),
      stepsOf(steps, "generation.bump").map(({ tenant }) => tenant),
    ]).toEqual([
      ["xvrf2001", "xgre2001"],
      ["xvrf2000", "xgre2000"],
      [2, 0],
    ]);
  });
});

describe("the order of tenants in the config", () => {
  it("means nothing once they have ids", async () => {
    const swapped = `${example.slice(0, example.indexOf("  - name: user1"))}${example.slice(example.indexOf("  - name: user2"))}\n${example.slice(example.indexOf("  - name: user1"), example.indexOf("  - name: user2"))}`;
    expect(described(await stepsBetween(example, swapped))).toEqual([]);
  });
});

describe("what somebody else has changed in the kernel is put right", () => {
  it("a device that has gone comes back, with what was on it", async () => {
    const wanted = await stateOf(example);
    const devices = new Map(wanted.devices);
    devices.delete("xgre2000");
    const flowtableDevices = new Map([["xgre1000", "fastpath0"]]);
    expect(described(diff(wanted, { ...wanted, devices, flowtableDevices }))).toEqual([
      "+ device xgre2000: gretap, key 2000, local 172.168.0.1, mtu 1458, in xvrf2000",
      "+ device xgre2000 in flowtable fastpath0",
      "> generation of tenant 2: its flows are decided anew",
    ]);
  });

  it("a device with another MTU is set, not made anew", async () => {
    const wanted = await stateOf(example);
    const observed = withDevice(wanted, "xgre1000", { mtu: 1500 });
    expect(diff(wanted, observed).map(({ kind }) => kind)).toEqual(["device.set", "generation.bump"]);
  });

  it("a device with another local address is made anew, with all that was on it", async () => {
    const wanted = await stateOf(example);
    const observed = withDevice(inKernel(wanted), "xgre1000", { local: "172.168.0.2" });
    expect(described(diff(wanted, observed))).toEqual([
      "~ device xgre1000, made anew: gretap, key 1000, local 172.168.0.1, mtu 1458, in xvrf1000",
      "~ sysctl net.ipv4.conf.xgre1000.rp_filter = 0",
      "~ sysctl net.ipv4.conf.xgre1000.forwarding = 1",
      "~ sysctl net.ipv4.conf.xgre1000.send_redirects = 0",
      "~ sysctl net.ipv4.conf.xgre1000.promote_secondaries = 1",
      "+ address 1.1.1.11/24 on xgre1000",
      "+ address 10.0.0.1/24 on xgre1000",
      "+ route 10.0.0.7/32 in table 100001: via 172.168.0.11, key 1000, dev xgre1000",
      "+ route 1.1.1.7/32 in table 100001: via 172.168.0.7, key 1000, dev xgre1000",
      "+ device xgre1000 in flowtable fastpath0",
      "+ map tunnels xgre1000",
      "~ map tenants 1000",
      "~ map public_ips 2.2.2.11",
      "~ attach xgw_arp (f00df00df00d) to xgre1000, tcx-egress",
      "~ attach xgw_enter (f00df00df00d) to xgre1000, tcx-ingress",
      "- map tunnels #11",
      "> generation of tenant 1: its flows are decided anew",
    ]);
  });

  it("a VRF with another table is made anew", async () => {
    const wanted = await stateOf(example);
    const observed = withDevice(wanted, "xvrf1000", { routeTable: 7 });
    expect(diff(wanted, observed)[0]?.kind).toBe("device.replace");
  });

  it("a sysctl is set back, and the plan says what it was", async () => {
    const wanted = await stateOf(example);
    const sysctls = new Map(wanted.sysctls).set("net.ipv4.ip_forward", "0");
    expect(described(diff(wanted, { ...wanted, sysctls }))).toEqual(["~ sysctl net.ipv4.ip_forward = 1 (was 0)"]);
  });

  it("an attachment that has gone is made again, and no generation moves", async () => {
    const wanted = await stateOf(example);
    const attachments = new Map(wanted.attachments);
    attachments.delete("xdp_eth0");
    expect(described(diff(wanted, { ...wanted, attachments }))).toEqual([
      "+ attach xgw_xdp (f00df00df00d) to eth0, xdp native",
    ]);
  });
});

describe("rules of another version", async () => {
  const wanted = await stateOf(example);
  const steps = diff(wanted, { ...wanted, rules: "0123456789ab" });

  it("are replaced, and everything in the table is added again", () => {
    expect(steps.map(({ kind }) => kind)).toEqual([
      "rules.set",
      ...Array<string>(wanted.flowtableDevices.size).fill("flowtable.add"),
      ...Array<string>(wanted.elements.size).fill("element.set"),
      "generation.bump",
      "generation.bump",
    ]);
  });

  it("have no elements to delete: they go with the old table", () => {
    const elements = new Map(wanted.elements).set("zones gone", { set: "zones", key: "gone", value: "9" });
    expect(stepsOf(diff(wanted, { ...wanted, rules: "0123456789ab", elements }), "element.delete")).toEqual([]);
  });
});

describe("the kernel's limits of its tables", async () => {
  const wanted = await stateOf(example);
  const name = "net.netfilter.nf_conntrack_max";
  const stepsWhere = (value: string) =>
    described(diff(wanted, { ...wanted, sysctls: new Map([...wanted.sysctls, [name, value]]) }));

  it("are raised where they are too low", () => {
    expect(stepsWhere("65536")).toEqual([`~ sysctl ${name} = 425984 (was 65536)`]);
  });

  it("are never lowered", () => expect(stepsWhere("2097152")).toEqual([]));

  it("are left out where they cannot be set", async () => {
    const fixed = render(await desiredOf(example, nothing), { ...context, fixedSysctls: new Set([name]) });
    expect([fixed.sysctls.has(name), fixed.sysctls.has("net.ipv4.ip_forward")]).toEqual([false, true]);
  });
});

describe("a NIC with VLANs", async () => {
  const [off, other] = (["eth0", "eth1"] as const).map(
    (device) => ({ device, feature: "rx-vlan-hw-parse", isOn: false }) as const,
  ) as [TagOffload, TagOffload];
  const wanted = render(await desiredOf(example, nothing), { ...context, tagOffloads: [off] });
  const stepsWhere = (...observed: TagOffload[]) =>
    described(diff(wanted, { ...wanted, tagOffloads: new Map(observed.map((one) => [tagOffloadId(one), one])) }));

  it("is told to leave tags in frames where it takes them off", () => {
    expect(stepsWhere({ ...off, isOn: true })).toEqual(["~ NIC eth0: rx-vlan-hw-parse off"]);
  });

  it("keeps that when it has no VLANs any more", () => expect(stepsWhere(off, other)).toEqual([]));
});

it("new programs are loaded, attached in place of the old ones, and those unloaded", async () => {
  const observed = await stateOf(example);
  const attachments = new Map(
    [...observed.attachments].map(([name, attachment]) => [name, { ...attachment, fingerprint: "000000000000" }]),
  );
  expect(described(diff(observed, { ...observed, attachments, datapaths: new Set(["000000000000"]) }))).toEqual([
    "+ programs f00df00df00d",
    "~ attach xgw_xdp (f00df00df00d) to eth0, xdp native",
    "~ attach xgw_learn (f00df00df00d) to eth0, tcx-egress",
    "~ attach xgw_arp (f00df00df00d) to xgre1000, tcx-egress",
    "~ attach xgw_enter (f00df00df00d) to xgre1000, tcx-ingress",
    "~ attach xgw_arp (f00df00df00d) to xgre2000, tcx-egress",
    "~ attach xgw_enter (f00df00df00d) to xgre2000, tcx-ingress",
    "~ attach xgw_nic_arp (f00df00df00d) to eth0, tcx-ingress",
    "~ attach xgw_session_born (f00df00df00d) to conntrack, function",
    "~ attach xgw_session_died (f00df00df00d) to conntrack, function",
    "~ attach xgw_session_refused (f00df00df00d) to conntrack, function",
    "~ attach xgw_neighbour_made (f00df00df00d) to neighbours, tracepoint",
    "~ attach xgw_neighbour_seen (f00df00df00d) to neighbours, tracepoint",
    "~ attach xgw_neighbour_asked (f00df00df00d) to neighbours, tracepoint",
    "~ attach xgw_neighbour_gone (f00df00df00d) to neighbours, tracepoint",
    "~ attach xgw_not_redirected (f00df00df00d) to nics, tracepoint",
    "~ attach xgw_not_taken (f00df00df00d) to nics, tracepoint",
    "~ attach xgw_not_transmitted (f00df00df00d) to nics, tracepoint",
    "~ attach xgw_not_transmitted_at_once (f00df00df00d) to nics, tracepoint",
    "~ attach xgw_fragment (f00df00df00d) to prerouting, netfilter",
    "~ attach xgw_reassembled (f00df00df00d) to prerouting, netfilter",
    "~ attach xgw_quota (f00df00df00d) to forward, netfilter",
    "~ attach xgw_quota (f00df00df00d) to local_in, netfilter",
    "~ attach xgw_next_hop (f00df00df00d) to postrouting, netfilter",
    "> generation of tenant 1: its flows are decided anew",
    "> generation of tenant 2: its flows are decided anew",
    "- programs 000000000000",
  ]);
});

it("an uplink that is added: routes, addresses with its MTU, its program; all tenants' flows are decided anew", async () => {
  const text = example.replace(
    "nics:\n",
    "uplink: { device: eth1, gateway: 203.0.113.1 }\nnics:\n  - { name: eth1 }\n",
  );
  const observed = await stateOf(example);
  const desired = render(await desiredOf(text, observed), { ...context, uplinkMtu: 1500 });
  expect(described(diff(desired, observed))).toEqual([
    "~ sysctl net.ipv4.conf.eth1.forwarding = 1",
    "+ route default in table 100001: via 203.0.113.1, dev eth1",
    "+ route default in table 100002: via 203.0.113.1, dev eth1",
    "+ nft sides: eth1",
    "+ nft other_sides: eth1",
    "+ nft other_hosts: eth1",
    "+ nft uplink: eth1",
    "+ nft uplink_sources: 1 . eth1 . 2.2.2.11",
    "+ nft uplink_sources: 2 . eth1 . 2.2.2.12",
    "+ map nics eth1",
    "~ map public_ips 2.2.2.11",
    "~ map public_ips 2.2.2.12",
    "+ attach xgw_xdp (f00df00df00d) to eth1, xdp native",
    "+ attach xgw_learn (f00df00df00d) to eth1, tcx-egress",
    "+ attach xgw_uplink (f00df00df00d) to eth1, tcx-ingress",
    "+ attach xgw_nic_arp (f00df00df00d) to eth1, tcx-ingress",
    "> generation of tenant 1: its flows are decided anew",
    "> generation of tenant 2: its flows are decided anew",
  ]);
});

it("an uplink leaves a tenant's own default route alone", async () => {
  const text = example
    .replace("nics:\n", "uplink: { device: eth1, gateway: 203.0.113.1 }\nnics:\n  - { name: eth1 }\n")
    .replace("to: 1.1.1.7/32", "to: 0.0.0.0/0");
  const { routes } = await stateOf(text);
  expect([routes.get("100001 default"), routes.get("100002 default")]).toEqual([
    { routeTable: 100_001, to: "default", tunnel: { device: "xgre1000", via: "172.168.0.7", key: 1000 } },
    { routeTable: 100_002, to: "default", uplink: { device: "eth1", via: "203.0.113.1" } },
  ]);
});

it("steps come in the order of the phases, each kind once in it", async () => {
  const steps = [
    ...(await stepsBetween(example, example + thirdTenant)),
    ...(await stepsBetween(example + thirdTenant, example)),
  ];
  const kinds = new Set<Step["kind"]>(steps.map(({ kind }) => kind));
  expect([new Set(phaseOrder).size, [...kinds].filter((kind) => !phaseOrder.includes(kind))]).toEqual([
    phaseOrder.length,
    [],
  ]);
});

describe("connections are looked through", async () => {
  const wanted = await stateOf(example);
  const revoked = (steps: readonly Step[]) =>
    steps.flatMap((step) => (step.kind === "connections.revoke" ? [[step.tenant, step.all]] : []));
  const rule = "- { allow: tcp, ports: [23] }";

  it("when a rule is taken away, in that tenant only", async () => {
    expect(revoked(await stepsBetween(example, await exampleText([`${rule}\n`, "\n"])))).toEqual([[2, false]]);
  });

  it("not when one is added", async () => {
    expect(revoked(await stepsBetween(await exampleText([`${rule}\n`, "\n"]), example))).toEqual([]);
  });

  it("not when the tenant keeps what is established", async () => {
    const keep = await exampleText([`        ${rule}\n`, ""]);
    const text = keep.replace(/(name: user2[\s\S]*?policy:\n)/, "$1      established: keep\n");
    expect(revoked(await stepsBetween(example, text))).toEqual([]);
  });

  it("when a killed process left the tenant in change, which is decided anew too", () => {
    const steps = diff(wanted, { ...wanted, unsettled: new Set([2]) });
    expect(steps.map(({ kind }) => kind)).toEqual(["connections.revoke", "generation.bump"]);
  });

  it("in all tenants when the table was lost: what it admitted is not known", () => {
    const lost = { rules: "", elements: new Map(), flowtableDevices: new Map<string, string>() };
    expect(revoked(diff(wanted, { ...wanted, ...lost }))).toEqual([
      [1, false],
      [2, false],
    ]);
  });

  it("not when a device was lost", () => {
    const devices = new Map(wanted.devices);
    devices.delete("xgre2000");
    expect(revoked(diff(wanted, { ...wanted, devices }))).toEqual([]);
  });
});

describe("the order of the routing rules", async () => {
  const wanted = await stateOf(example);
  const kernels: typeof wanted.ruleOrder = new Map([
    ["ipv4", "kernel's"],
    ["ipv6", "tenants first"],
  ]);

  it("is put right, of the family where it is not", () => {
    expect(described(diff(wanted, { ...wanted, ruleOrder: kernels }))).toEqual([
      "~ ip rules of ipv4: tenants' tables before the gateway's own addresses",
    ]);
  });

  it("comes before any device of a tenant", () => {
    const kinds = diff(wanted, { ...nothing, ruleOrder: kernels }).map(({ kind }) => kind);
    expect(kinds.indexOf("rule-order.set")).toBeLessThan(kinds.indexOf("device.add"));
  });

  it("is as it was again, last of all, when a change is taken back", () => {
    expect(diff({ ...nothing, ruleOrder: kernels }, wanted).at(-1)).toEqual({
      kind: "rule-order.restore",
      family: "ipv4",
    });
  });

  it("is nobody's concern without tenants", () => {
    expect(diff(nothing, { ...nothing, ruleOrder: kernels })).toEqual([]);
  });
});

describe("a machine whose setting for all devices is a strict reverse path filter", async () => {
  const desired = await desiredOf(example);
  const observed = inKernel(render(desired, context));

  it("has each device of the gateway's, and by which tunnelled packets come, loose: the higher of both settings holds", () => {
    const strict = { ...context, underlayDevices: ["eth0", "eth5"], isReversePathStrict: true };
    const steps = described(diff(render(desired, strict), observed)).filter((step) => step.includes("rp_filter"));
    expect(steps).toEqual(
      ["eth5", "eth0", "xvrf1000", "xgre1000", "xvrf2000", "xgre2000"].map(
        (device) => `~ sysctl net.ipv4.conf.${device}.rp_filter = 2${device === "eth5" ? "" : " (was 0)"}`,
      ),
    );
  });
});

it("a timeout of conntrack's that somebody sets is one entry of a map: no program is loaded, and no flow decided anew", async () => {
  const desired = await desiredOf(example);
  const timeouts = { ...context.timeouts, tcpTimeoutMs: 600_000, tcpTimeoutTicks: 150_000 };
  const steps = diff(render(desired, { ...context, timeouts }), inKernel(render(desired, context)));
  expect(described(steps)).toEqual([
    "~ map settings : established TCP 600 s, UDP 120 s; anybody's 131072 sessions, 32768 newPerSecond, 32768 neighbours",
  ]);
});

it("so are limits of the whole gateway", async () => {
  const limits = "limits: { sessions: 100000, neighbours: 10000 }\nnics:";
  const steps = await stepsBetween(example, example.replace("nics:", limits));
  expect([...new Set(steps.map(({ kind }) => kind))]).toEqual(["entry.set"]);
});
