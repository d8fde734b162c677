/** What hangs on an interface's hooks, by ids. Interfaces are those of the caller's network namespace. */
import { addon } from "./addon.js";
import type { XdpMode } from "./attach.js";
import { XDP_MODE_FLAGS } from "./attach.js";
import { ATTACH_TYPES, type AttachType, numberIn } from "./enums.js";
import { ENOSPC } from "./errno.js";
import { BpfError } from "./error.js";
import { drainLog } from "./log.js";
import type { BpfProgram } from "./program.js";

export interface XdpQuery {
  /** How the program is attached; "multi" when several modes have one each; undefined when nothing is. */
  mode?: XdpMode | "multi";
  /** The program, unless there are several. */
  progId?: number;
  nativeProgId?: number;
  genericProgId?: number;
  offloadProgId?: number;
  /** `NETDEV_XDP_ACT_*` bits: what the driver can. */
  featureFlags: bigint;
  /** Most fragments of a zero-copy packet. */
  zeroCopyMaxSegments: number;
}

/** @throws BpfError ENODEV or EINVAL when there is no such interface. */
export function queryXdp(ifindex: number): XdpQuery {
  const [rc, mode, progId, native, offload, generic, featureFlags, zeroCopyMaxSegments] = addon.xdpQuery(ifindex);
  drainLog();
  if (rc < 0) throw new BpfError({ operation: "query xdp of", objectName: `interface ${ifindex}`, errno: rc });
  const names = [undefined, "native", "generic", "offload", "multi"] as const;
  const name = names[mode];
  return {
    ...(name === undefined ? {} : { mode: name }),
    ...(progId === 0 ? {} : { progId }),
    ...(native === 0 ? {} : { nativeProgId: native }),
    ...(generic === 0 ? {} : { genericProgId: generic }),
    ...(offload === 0 ? {} : { offloadProgId: offload }),
    featureFlags,
    zeroCopyMaxSegments,
  };
}

export interface HookQuery {
  /** Counts the changes of the hook; give it as expectedRevision to attach to what was seen. */
  revision: bigint;
  /** In the order in which they run. linkId is missing for a program that was attached without a link. */
  entries: { progId: number; linkId?: number }[];
}

/** @throws BpfError ENODEV when there is no such interface; EINVAL when the kernel has no tcx (before 6.6). */
export function queryTcx(ifindex: number, direction: "ingress" | "egress"): HookQuery {
  return queryHook(ifindex, direction === "ingress" ? "tcx_ingress" : "tcx_egress");
}

/** @throws BpfError EINVAL when the kernel has no netkit (before 6.7), or the interface is none. */
export function queryNetkit(ifindex: number, side: "primary" | "peer"): HookQuery {
  return queryHook(ifindex, side === "primary" ? "netkit_primary" : "netkit_peer");
}

function queryHook(ifindex: number, type: AttachType): HookQuery {
  for (let room = 64; ; room *= 2) {
    const [rc, , , revision, entries] = addon.programQuery(ifindex, numberIn(ATTACH_TYPES, type), 0, room, true);
    if (rc === -ENOSPC) continue;
    if (rc < 0) throw new BpfError({ operation: `query ${type} of`, objectName: `interface ${ifindex}`, errno: rc });
    return {
      revision,
      entries: entries.map(({ progId, linkId }) => ({ progId, ...(linkId === 0 ? {} : { linkId }) })),
    };
  }
}

const XDP_UPDATE_IF_NOEXIST = 1 << 0;

/**
 * Sets or removes an interface's XDP program without a link, as `ip link set xdp` does: for what was attached so. It cannot
 * touch a program that a link holds (EBUSY).
 * @param options.expected only if this program is there now (EEXIST otherwise); null: only if none is (EBUSY).
 */
export function setXdp(
  ifindex: number,
  program: BpfProgram | undefined,
  options: { mode?: XdpMode; expected?: BpfProgram | null } = {},
): void {
  const { mode, expected } = options;
  const flags = (mode === undefined ? 0 : XDP_MODE_FLAGS[mode]) | (expected === null ? XDP_UPDATE_IF_NOEXIST : 0);
  const rc = addon.xdpSet(ifindex, program?.fd ?? -1, flags, expected?.fd ?? -1);
  const log = drainLog();
  if (rc < 0) throw new BpfError({ operation: "set xdp of", objectName: `interface ${ifindex}`, errno: rc, log });
}
