/** The structs of bpf/shared.h as the bindings read and write them by BTF; addresses are numbers, see `addressNumber`. */

export interface Tenant {
  readonly id: number;
  readonly zone: number;
  readonly vrf_ifindex?: number;
  readonly tunnel_ifindex?: number;
  readonly route_table?: number;
  readonly wrap: number;
  readonly mtu: number;
  readonly flags?: number;
}

/** Of a tenant, or in slot 0 the shares of all; 0: nothing is said. */
export interface Limits {
  readonly sessions?: number;
  readonly new_per_second?: number;
  readonly flows?: number;
  readonly templates?: number;
  readonly rules?: number;
  readonly events_per_second?: number;
  readonly neighbours?: number;
}

export interface PeerKey {
  readonly tenant: number;
  readonly address: number;
}

export interface PublicIp {
  readonly tenant: number;
  readonly tunnel_ifindex: number;
  readonly key: number;
  readonly mtu: number;
}

export interface EndpointKey {
  readonly prefixlen: number;
  readonly tenant: number;
  readonly address: number;
}

export interface Tuple {
  readonly saddr: number;
  readonly daddr: number;
  readonly sport: number;
  readonly dport: number;
  readonly protocol: number;
}

export interface FlowKey extends Tuple {
  readonly realm: number;
  readonly wrap: number;
}

export interface Flow {
  readonly saddr: number;
  readonly daddr: number;
  readonly sport: number;
  readonly dport: number;
  readonly ip_delta: number;
  readonly encap: number;
  readonly generation: number;
  readonly peer: number;
  readonly tenant: number;
  readonly checked: number;
  readonly flags: number;
  /** Slot of the rule. */
  readonly rule: number;
  readonly packets: number;
  /** Of inner IP packets. */
  readonly bytes: bigint;
}

export interface Encap {
  readonly state: number;
  readonly ifindex: number;
  readonly realm: number;
  readonly wrap: number;
  readonly length: number;
  readonly mtu: number;
  readonly ip_sum: number;
  readonly tenant: number;
  /** Jiffies, when the way was last asked for. */
  readonly asked?: number;
  /** Seconds, when a packet last went up so that the kernel uses the way. */
  readonly sampled?: number;
  readonly unseen?: number;
  /** Index of the device that the kernel's look-up names, or of enum xgw_way. */
  readonly way?: number;
  readonly header: Buffer;
}

/** struct xgw_losses: times. */
export interface Losses {
  readonly flows_evicted?: bigint;
  readonly flows_refused?: bigint;
  readonly templates_refused?: bigint;
  readonly rules_refused?: bigint;
  readonly events_lost?: bigint;
}

export interface ConnectionKey {
  readonly original: Tuple;
  readonly zone: number;
}

export interface Connection {
  readonly reply: Tuple;
  readonly born: bigint;
  readonly tenant: number;
  readonly rule: number;
  readonly translation: number;
  readonly original_realm: number;
  readonly reply_realm: number;
  readonly original_wrap: number;
  readonly reply_wrap: number;
}

export interface Counter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** struct xgw_rule_counters, of one CPU. */
export interface RuleCounters {
  readonly tiers: readonly Counter[];
}

export interface Event {
  readonly time: bigint;
  readonly key: FlowKey;
  readonly tenant: number;
  readonly peer: number;
  readonly kind: number;
  readonly reason: number;
}

/** A dotted quad as the number that it is in network byte order. */
export function addressNumber(address: string): number {
  return address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
}
