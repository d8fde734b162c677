/** What the guest measures and hands to the host. */

/** Nanoseconds a packet (or a connection), round by round; of a virtual machine's clock. */
export interface Series {
  readonly name: string;
  readonly at: string;
  readonly times: readonly number[];
}

export interface GuestResults {
  readonly kernel: string;
  readonly series: readonly Series[];
  /** Of single connections, one after the other: the packets each way until XDP forwards both ways, and milliseconds. */
  readonly births: readonly { readonly packets: number; readonly ms: number }[];
  /** How long `xgw apply` took, seconds, by the number of tenants. */
  readonly applySeconds: Readonly<Record<number, number>>;
}

export interface GuestEffort {
  readonly rounds: number;
  /** Of XDP; the slower tiers get an eighth. */
  readonly packets: number;
  readonly connections: number;
  readonly births: number;
  readonly tenants: readonly number[];
  /** Each has two flows. */
  readonly open: readonly number[];
}

export const guestEfforts: Record<"quick" | "full", GuestEffort> = {
  quick: { rounds: 7, packets: 2048, connections: 64, births: 3, tenants: [1], open: [1, 1024] },
  full: {
    rounds: 11,
    packets: 4096,
    connections: 256,
    births: 25,
    tenants: [1, 100, 1000, 4000],
    open: [1, 4096, 65_536, 524_288],
  },
};

/** Begins the line with the results in the guest's output. */
export const resultMark = "xgw-bench-results ";

/** Plain netfilter is measured with as many at most: what it costs does not depend on them. */
export const openMax = 65_536;

export const seriesNames = {
  xdp: "XDP",
  flowtable: "flowtable",
  stack: "plain netfilter",
  wires: "wires alone, no gateway",
  connection: "a new connection, three packets",
  unlearned: "the same without the learner",
} as const;

export const sizes = { small: "small packets", bulk: "bulk" } as const;
export const tenantsAt = (tenants: number) => `${tenants.toLocaleString("en")} tenant${tenants > 1 ? "s" : ""}`;
export const openAt = (connections: number) =>
  `${connections.toLocaleString("en")} connections, ${(2 * connections).toLocaleString("en")} flows`;
/** The gateway with one tenant, in the same rounds as one with so many. */
export const besideAt = (tenants: number) => `1 tenant, beside ${tenants.toLocaleString("en")}`;
