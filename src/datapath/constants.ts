/** What the programs are loaded with. */

/** Where a side's packets come in, and as what frames. */
export interface SideConstants {
  /** Of the NIC. */
  readonly ifindex: number;
  /** VLAN tags, the outermost first: the type in the upper 16 bits, the id in the lower. At most 2. */
  readonly tags: readonly number[];
}

export interface UnderlayConstants extends SideConstants {
  /** Of NICs besides the underlay's own by which tunnelled packets may come in. */
  readonly others: readonly number[];
}

/** NICs of `UnderlayConstants.others`: XGW_UNDERLAY_OTHERS. */
export const maxUnderlayOthers = 63;

/** Values of bpf/lib/config.h. */
export interface Constants {
  /** Dotted quad. */
  readonly underlayAddress: string;
  /** Where the underlay's frames have VLAN tags, or some NIC with the programs is not the underlay's. */
  readonly underlay?: UnderlayConstants;
  /** `mac`: to which its packets are sent, with colons. */
  readonly uplink?: SideConstants & { readonly mac: string };
  /** Whether XDP runs on the members of a NIC that is a bond. */
  readonly hasBonds?: boolean;
  /** Whether XDP_TX by a NIC asks as much of it as a redirect to it: see redirect-targets.ts. */
  readonly txIsRedirect?: boolean;
  /** Inode number of the network namespace. */
  readonly netnsInode: number;
  /** Whether live connections are counted. A gateway always does; a kernel without fentry can still run the rest. */
  readonly countsSessions: boolean;
  /** Flows that the flow table is made for. */
  readonly flows: number;
}
