/** Seeds that once failed, each with the packet that did; every run of the suite has them. */

import type { SeedOptions } from "./run.js";

export interface KeptSeed extends SeedOptions {
  /** What differed, and what was mended. */
  readonly why: string;
}

/** In few sites, for one takes long to be built: with tunnels only, with an uplink, with two routers, and over a bond. */
export const keptSeeds: readonly KeptSeed[] = [
  {
    seed: 101,
    packets: 15,
    only: ["outer length"],
    why: "packet 37: XDP sent on a packet whose outer header claims more bytes than the frame has",
  },
  {
    seed: 102,
    packets: 15,
    only: ["inner destination MAC", "destination MAC"],
    why: "XDP sent on frames for another MAC address than the tunnel's or the NIC's",
  },
  {
    seed: 103,
    packets: 15,
    only: ["TCP data offset", "TCP without ACK", "UDP length"],
    why: "XDP sent on what conntrack calls invalid for its TCP header or UDP length",
  },
  {
    seed: 104,
    packets: 15,
    only: ["inner header checksum", "outer header checksum"],
    why: "XDP sent on packets with a wrong IP header checksum",
  },
  {
    seed: 106,
    packets: 10,
    only: ["transport checksum 0xffff"],
    why: "packet 97: a TCP checksum of 0xffff leaves as 0 where nothing is translated",
  },
  {
    seed: 108,
    packets: 10,
    only: ["inner length"],
    why: "packet 4: the flowtable leaves bytes behind the inner packet, which XDP and the rest of the kernel do not",
  },
  {
    seed: 5020,
    packets: 12,
    only: ["transport checksum 0xffff", "inner TOS"],
    why: "as packet 57 of seed 5000: what conntrack refuses for its checksum is not translated, and so answered by an ICMP error",
  },
  {
    seed: 5021,
    packets: 15,
    only: ["destination MAC"],
    why: "as packet 57 of seed 5001: XDP sent on frames for another MAC address than the NIC's where their flow left by the uplink",
  },
  {
    seed: 5022,
    packets: 15,
    only: ["outer destination"],
    why: "as packet 391 of seed 5001: the kernel rations its ICMP redirects, which the test itself has to know",
  },
  {
    seed: 5029,
    packets: 30,
    why: "packet 0: XDP refuses by policy in silence what the kernel refuses for its checksum, and answers",
  },
  {
    seed: 210,
    packets: 40,
    why: "as packet 4 of seed 90: of two routers the flowtable takes another than the rest of the kernel, which the test has to know",
  },
  {
    seed: 360,
    packets: 20,
    why: "nothing yet: a VLAN over a bond, by whose members XDP took nothing",
  },
];
