/**
 * Which of the nft rules has dropped a packet of a tenant's. The kernel says only that netfilter has; but the rules are
 * constant, so that where the packet was and what conntrack's mark says leave one of them, or it is not said.
 */

import { deniedMark, ruleOfMark } from "../plan/rules.js";
import type { Drop } from "./schema.js";

export interface DroppedByNft {
  /** The packet was still in its tunnel: it has an outer source. */
  readonly isTunnelled: boolean;
  /** Name of the device that it was on; undefined when it has gone. */
  readonly device: string | undefined;
  /** It came in by that device. */
  readonly isArriving: boolean;
  /** IP protocol number. */
  readonly protocol: number;
  /** Conntrack's mark. */
  readonly mark: number;
}

/** ICMP, TCP and UDP: those that the gateway itself is served by, so that only what is forwarded is dropped. */
const served: readonly number[] = [1, 6, 17];

/** Undefined: it may have been one of several, or another table's. */
export function nftVerdict({ isTunnelled, device, isArriving, protocol, mark }: DroppedByNft): Drop["verdict"] {
  if (isTunnelled) return "stranger"; // judge_gre, judge_own_gre
  const rule = ruleOfMark(mark);
  if (rule) return (mark & deniedMark) !== 0 ? "policy" : undefined;
  if (device?.startsWith("xgre") && isArriving) return "spoofed"; // judge_source, judge_outsider
  return device?.startsWith("xvrf") && served.includes(protocol) ? "unadmitted" : undefined;
}
