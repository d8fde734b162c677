/** Turns the options of an attachment into what BPF_LINK_CREATE wants. */
import { addon } from "./addon.js";
import { ATTACH_TYPES, type AttachType, numberIn } from "./enums.js";
import { BpfError, invalid } from "./error.js";
import { BpfLink } from "./link.js";
import type { BpfProgram } from "./program.js";

/** Where in the driver an XDP program runs: in the driver, in the stack, in the NIC. */
export type XdpMode = "native" | "generic" | "offload";

export interface XdpOptions {
  ifindex: number;
  /** Without it the kernel chooses native where the driver can, generic elsewhere. */
  mode?: XdpMode;
}

/**
 * A place among the programs of a hook: next to a link, next to a program, or at the very end ("all": before all or
 * after all).
 */
export type Anchor = BpfLink | BpfProgram | { linkId: number } | { progId: number } | "all";

export interface MultiOptions {
  ifindex: number;
  before?: Anchor;
  after?: Anchor;
  /** Fails with ESTALE when the hook has changed since this revision, see queryTcx(). */
  expectedRevision?: bigint;
}

export interface TcxOptions extends MultiOptions {
  direction: "ingress" | "egress";
}

export interface NetkitOptions extends MultiOptions {
  side: "primary" | "peer";
}

/** A hook of netfilter, in the network namespace of the caller. */
export interface NetfilterOptions {
  family: "ipv4" | "ipv6";
  hook: "prerouting" | "local_in" | "forward" | "local_out" | "postrouting";
  /**
   * Where among the others of the hook, lower first: NF_IP_PRI_* of linux/netfilter_ipv4.h, which are nft's priorities, too
   * (0 is `filter`). Other than the kernel's least and greatest, and no other BPF program's at the same hook.
   */
  priority: number;
  /** IP fragments are put together before the program sees them; the priority must be above conntrack's defragmentation. */
  defragment?: boolean;
}

interface LinkRequest {
  ifindex: number;
  attachType: AttachType;
  flags: number;
  relativeFd: number;
  relativeId: number;
  expectedRevision: bigint;
  /** Family, hook, priority and flags, as the kernel has them. */
  netfilter?: readonly [number, number, number, number];
}

/** @internal */
export const XDP_MODE_FLAGS: Record<XdpMode, number> = { native: 1 << 2, generic: 1 << 1, offload: 1 << 3 };

const F_BEFORE = 1 << 3;
const F_AFTER = 1 << 4;
const F_ID = 1 << 5;
const F_LINK = 1 << 13;

/** @internal */
export function xdpRequest(options: XdpOptions): LinkRequest {
  return {
    ifindex: options.ifindex,
    attachType: "xdp",
    flags: options.mode === undefined ? 0 : XDP_MODE_FLAGS[options.mode],
    relativeFd: 0,
    relativeId: 0,
    expectedRevision: 0n,
  };
}

/** @internal */
export function tcxRequest(options: TcxOptions): LinkRequest {
  return { ...multiRequest(options), attachType: options.direction === "ingress" ? "tcx_ingress" : "tcx_egress" };
}

/** @internal */
export function netkitRequest(options: NetkitOptions): LinkRequest {
  return { ...multiRequest(options), attachType: options.side === "primary" ? "netkit_primary" : "netkit_peer" };
}

/** NFPROTO_*, linux/netfilter.h. */
const NETFILTER_FAMILIES = { ipv4: 2, ipv6: 10 } as const;

/** enum nf_inet_hooks, in its order. */
const NETFILTER_HOOKS = ["prerouting", "local_in", "forward", "local_out", "postrouting"] as const;

const F_IP_DEFRAG = 1 << 0;

/** @internal */
export function netfilterRequest({ family, hook, priority, defragment = false }: NetfilterOptions): LinkRequest {
  return {
    ifindex: 0,
    attachType: "netfilter",
    flags: 0,
    relativeFd: 0,
    relativeId: 0,
    expectedRevision: 0n,
    netfilter: [NETFILTER_FAMILIES[family], NETFILTER_HOOKS.indexOf(hook), priority, defragment ? F_IP_DEFRAG : 0],
  };
}

function multiRequest(options: MultiOptions): Omit<LinkRequest, "attachType"> {
  if (options.before !== undefined && options.after !== undefined) {
    throw invalid("attach to", `interface ${options.ifindex}`, "both before and after are given");
  }
  const anchor = options.before ?? options.after;
  const side = options.before !== undefined ? F_BEFORE : options.after !== undefined ? F_AFTER : 0;
  const request = {
    ifindex: options.ifindex,
    flags: side,
    relativeFd: 0,
    relativeId: 0,
    expectedRevision: options.expectedRevision ?? 0n,
  };
  if (anchor === undefined || anchor === "all") return request;
  if ("linkId" in anchor) return { ...request, flags: side | F_ID | F_LINK, relativeId: anchor.linkId };
  if ("progId" in anchor) return { ...request, flags: side | F_ID, relativeId: anchor.progId };
  return { ...request, flags: side | (anchor instanceof BpfLink ? F_LINK : 0), relativeFd: anchor.fd };
}

/** @internal */
export function attachTracepoint(programFd: number, name: string, label: string): BpfLink {
  const fd = addon.rawTracepointOpen(programFd, name);
  if (fd < 0) throw new BpfError({ operation: `attach ${label} to raw tracepoint`, objectName: name, errno: fd });
  return BpfLink.fromFd(fd, label);
}

/** @internal */
export function attachLink(programFd: number, request: LinkRequest, label: string): BpfLink {
  const fd = addon.linkCreate(
    programFd,
    request.ifindex,
    numberIn(ATTACH_TYPES, request.attachType),
    request.flags,
    request.relativeFd,
    request.relativeId,
    request.expectedRevision,
    request.netfilter,
  );
  if (fd < 0) {
    const { ifindex, attachType } = request;
    const device = addon.interfaceName(ifindex) ?? `interface ${ifindex}`;
    throw new BpfError({
      operation: `attach ${label} to ${attachType}${ifindex === 0 ? "" : " of"}`,
      objectName: ifindex === 0 ? undefined : device,
      errno: fd,
    });
  }
  return BpfLink.fromFd(fd, label);
}
