/** What the programs are loaded with. */

/** Where a side's packets come in, and as what frames. */
export interface SideConstants {
  /** Of the NIC. */
  readonly ifindex: number;
  /** VLAN tags, the outermost first: the type in the upper 16 bits, the id in the lower. At most 2. */
  readonly tags: readonly number[];
}

/** Values of bpf/lib/config.h. */
export interface Constants {
  /** Dotted quad. */
  readonly underlayAddress: string;
  /** Of an underlay with VLAN tags. */
  readonly underlay?: SideConstants;
  /** `mac`: to which its packets are sent, with colons. */
  readonly uplink?: SideConstants & { readonly mac: string };
  /** What conntrack's timeouts of established connections are, milliseconds. */
  readonly tcpTimeoutMs: number;
  readonly udpTimeoutMs: number;
  /** Inode number of the network namespace. */
  readonly netnsInode: number;
  /** Whether live connections are counted. A gateway always does; a kernel without fentry can still run the rest. */
  readonly countsSessions: boolean;
  /** Up to how many of all tenants together nobody is refused for being over its share. */
  readonly sessionPool: number;
  readonly neighbourPool: number;
  /** Up to how many of all tenants together each gets what the config gives it. */
  readonly sessionRoom: number;
  readonly neighbourRoom: number;
  /** Flows that the flow table is made for. */
  readonly flows: number;
}
