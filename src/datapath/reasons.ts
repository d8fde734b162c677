/** The reasons of bpf/shared.h in their order there; a test compares the two by BTF. */

export type Verdict = "forwarded" | "pass" | "drop";

export interface Reason {
  /** As in metrics and `-j`. */
  readonly name: string;
  readonly verdict: Verdict;
  readonly meaning: string;
}

const reason = (name: string, verdict: Verdict, meaning: string): Reason => ({ name, verdict, meaning });

export const reasons: readonly Reason[] = [
  reason("forwarded", "forwarded", "a flow matched: rewritten and sent by XDP"),
  reason("host", "pass", "not for a tenant: the gateway's own traffic"),
  reason("no_flow", "pass", "no flow (yet): the kernel decides"),
  reason("not_tcp_udp", "pass", "ARP, ICMP and so on: always the kernel's"),
  reason("fragment", "pass", "an IP fragment"),
  reason("ip_options", "pass", "the IP header has options"),
  reason("ttl", "pass", "would expire here"),
  reason("mtu", "pass", "would not fit the way out"),
  reason("gre_flags", "pass", "GRE with checksum, sequence or routing"),
  reason("tcp_control", "pass", "SYN, FIN or RST: opens or closes a connection"),
  reason("ecn", "pass", "outer and inner ECN need the kernel's judgement"),
  reason("generation", "pass", "the tenant has changed since the flow was learned"),
  reason("ct_gone", "pass", "conntrack no longer has the connection"),
  reason("malformed", "pass", "cannot be parsed, or is damaged"),
  reason(
    "template",
    "pass",
    "the flow's header template, or the NIC that it names, has gone, or the kernel sends another way by now",
  ),
  reason("sample", "pass", "one of many, so that the kernel uses the way that XDP uses, too"),
  reason("other_host", "pass", "sent to another MAC address than the NIC's or the tunnel's"),
  reason("unknown_key", "drop", "a GRE key that no tenant has"),
  reason("stranger", "drop", "the outer source is not a peer of the tenant"),
  reason("policy", "drop", "would begin a connection that the tenant's policy does not admit"),
  reason("quota", "drop", "would begin a connection that the tenant's limits have no room for"),
  reason("neighbours", "drop", "would make a neighbour that the tenant's limits have no room for"),
  reason("fragments", "drop", "a fragment of somebody who has enough of them waiting for the rest of their datagrams"),
  reason("spoofed", "drop", "came by the uplink with a private source that lies in the tenant's tunnel"),
  reason("no_port", "drop", "would share a public address that has no port left for where it goes"),
];

/** XGW_REASON_SLOTS */
export const reasonSlots = 32;
