/** Classic tc: direct-action bpf filters on an interface's clsact qdisc. For new code attachTcx() is better. */
import { addon } from "./addon.js";
import { EEXIST, ENOENT } from "./errno.js";
import { BpfError, check } from "./error.js";
import { drainLog } from "./log.js";
import { dump } from "./netlink.js";
import { hostU32, putU32 } from "./netlink-message.js";
import type { BpfProgram } from "./program.js";

export type TcDirection = "ingress" | "egress";

const POINTS: Record<TcDirection, number> = { ingress: 1, egress: 2 };
const BOTH = 3;
const F_REPLACE = 1;

export interface TcAttachOptions {
  ifindex: number;
  direction: TcDirection;
  /** Lower runs first; the kernel chooses one if not given. */
  priority?: number;
  /** Tells filters of one priority apart; the kernel chooses one if not given. */
  handle?: number;
  /** Replaces the filter of this priority and handle. */
  replace?: boolean;
}

/** A filter in its place. It stays there when the process ends. */
export interface TcFilter {
  ifindex: number;
  direction: TcDirection;
  priority: number;
  handle: number;
  progId: number;
}

/** A filter as it is found. */
export interface TcFilterInfo extends Omit<TcFilter, "progId" | "direction"> {
  /** Of the qdisc or class that it hangs on: "clsact/ingress", "clsact/egress", or the qdisc's kind. */
  kind: string;
  /** What it was called when it was attached. */
  name?: string;
  progId?: number;
}

function where(ifindex: number): string {
  return addon.interfaceName(ifindex) ?? `interface ${ifindex}`;
}

/** Makes the clsact qdisc, if it is not there. Returns whether it was made. */
export function ensureClsact(ifindex: number): boolean {
  const rc = addon.tcHookCreate(ifindex, BOTH);
  const log = drainLog();
  if (rc === -EEXIST) return false;
  check(rc, "add clsact to", where(ifindex), log);
  return true;
}

/** Removes the clsact qdisc with all filters on it. Returns whether it was there. */
export function removeClsact(ifindex: number): boolean {
  const rc = addon.tcHookDestroy(ifindex, BOTH);
  const log = drainLog();
  if (rc === -ENOENT) return false;
  check(rc, "remove clsact from", where(ifindex), log);
  return true;
}

/** Attaches a program as a direct-action filter. @throws BpfError EINVAL without a clsact qdisc; EEXIST */
export function attachTc(program: BpfProgram, options: TcAttachOptions): TcFilter {
  const { ifindex, direction } = options;
  const [rc, progId, handle, priority] = addon.tcAttach(
    ifindex,
    POINTS[direction],
    program.fd,
    options.replace ? F_REPLACE : 0,
    options.handle ?? 0,
    options.priority ?? 0,
  );
  const log = drainLog();
  if (rc < 0)
    throw new BpfError({ operation: `attach to tc ${direction} of`, objectName: where(ifindex), errno: rc, log });
  return { ifindex, direction, priority, handle, progId };
}

/** Removes a filter. @throws BpfError ENOENT */
export function detachTc(filter: Omit<TcFilter, "progId">): void {
  const { ifindex, direction, handle, priority } = filter;
  const rc = addon.tcDetach(ifindex, POINTS[direction], handle, priority);
  check(rc, `detach from tc ${direction} of`, where(ifindex), drainLog());
}

const RTM_GETQDISC = 38;
const RTM_GETTFILTER = 46;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_NAME = 7;
const TCA_BPF_ID = 11;
const ROOT = 0xffffffff;
const CLSACT_INGRESS = 0xfffffff2;
const CLSACT_EGRESS = 0xfffffff3;

/** `struct tcmsg` */
function tcMessage(ifindex: number, parent: number): Buffer {
  const bytes = Buffer.alloc(20);
  putU32(bytes, ifindex, 4);
  putU32(bytes, parent, 12);
  return bytes;
}

/** All bpf filters on the interfaces' qdiscs. */
export function listTcFilters(): TcFilterInfo[] {
  const places: { ifindex: number; parent: number; kind: string }[] = [];
  for (const { header, attributes } of dump(RTM_GETQDISC, tcMessage(0, 0))) {
    const ifindex = hostU32(header, 4);
    const kind = attributes.text(TCA_KIND) ?? "";
    if (kind === "clsact" || kind === "ingress") {
      places.push({ ifindex, parent: CLSACT_INGRESS, kind: "clsact/ingress" });
      if (kind === "clsact") places.push({ ifindex, parent: CLSACT_EGRESS, kind: "clsact/egress" });
    } else if (kind !== "noqueue") {
      places.push({ ifindex, parent: hostU32(header, 8) || ROOT, kind });
    }
  }
  return places.flatMap(({ ifindex, parent, kind }) => filtersAt(ifindex, parent, kind));
}

function filtersAt(ifindex: number, parent: number, kind: string): TcFilterInfo[] {
  const filters: TcFilterInfo[] = [];
  for (const { header, attributes } of dump(RTM_GETTFILTER, tcMessage(ifindex, parent))) {
    const options = attributes.nested(TCA_OPTIONS);
    if (attributes.text(TCA_KIND) !== "bpf" || options === undefined) continue;
    const name = options.text(TCA_BPF_NAME);
    const progId = options.u32(TCA_BPF_ID);
    filters.push({
      ifindex,
      kind,
      ...(name === undefined ? {} : { name }),
      ...(progId === undefined ? {} : { progId }),
      handle: hostU32(header, 8),
      priority: hostU32(header, 16) >>> 16,
    });
  }
  return filters;
}
