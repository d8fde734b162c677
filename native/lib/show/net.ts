/** What hangs on the network interfaces of this namespace, as JSON like `bpftool -j net show`, and tcx and netkit too. */
import { closeSync, openSync } from "node:fs";
import { addon } from "../addon.js";
import { ATTACH_TYPES, type AttachType, numberIn } from "../enums.js";
import { fds } from "../ids.js";
import { readLinkInfo, readProgramInfo } from "../info.js";
import { dump } from "../netlink.js";
import { hostU32 } from "../netlink-message.js";
import { listTcFilters } from "../tc.js";

type Json = Record<string, unknown>;

export interface NetShow {
  /** devname, ifindex, mode ("driver", "generic", "offload"), id; or multi_attachments. */
  xdp: Json[];
  /** devname, ifindex, kind ("clsact/ingress", "tcx/egress", ...), name, and id or prog_id and link_id. */
  tc: Json[];
  flow_dissector: Json[];
  /** Of all namespaces: pf, hook, prio, flags, id of the program, link_id. */
  netfilter: Json[];
}

const RTM_GETLINK = 18;
const IFLA_IFNAME = 3;
const IFLA_XDP = 43;
const IFLA_XDP_ATTACHED = 2;
const IFLA_XDP_PROG_ID = 4;
const MODES = [
  { attached: 2, attribute: 6, name: "generic" },
  { attached: 1, attribute: 5, name: "driver" },
  { attached: 3, attribute: 7, name: "offload" },
] as const;
const MULTI = 4;

export function showNet(): NetShow {
  const shown: NetShow = { xdp: [], tc: [], flow_dissector: flowDissector(), netfilter: netfilterLinks() };
  const names = new Map<number, string>();
  for (const { header, attributes } of dump(RTM_GETLINK, Buffer.alloc(16))) {
    const ifindex = hostU32(header, 4);
    const devname = attributes.text(IFLA_IFNAME) ?? "";
    names.set(ifindex, devname);
    const xdp = attributes.nested(IFLA_XDP);
    const attached = xdp?.u8(IFLA_XDP_ATTACHED) ?? 0;
    if (xdp === undefined || attached === 0) continue;
    const mode = MODES.find((m) => m.attached === attached);
    const all = MODES.flatMap(({ attribute, name }) => {
      const id = xdp.u32(attribute);
      return id === undefined ? [] : [{ mode: name, id }];
    });
    shown.xdp.push({
      devname,
      ifindex,
      ...(attached === MULTI ? { multi_attachments: all } : { mode: mode?.name, id: xdp.u32(IFLA_XDP_PROG_ID) }),
    });
  }
  for (const [ifindex, devname] of names) shown.tc.push(...multiHooks(ifindex, devname));
  for (const { ifindex, kind, name, progId, handle, priority } of listTcFilters()) {
    shown.tc.push({
      devname: names.get(ifindex),
      ifindex,
      kind,
      ...(name === undefined ? {} : { name }),
      ...(progId === undefined ? {} : { id: progId }),
      handle,
      priority,
    });
  }
  return shown;
}

const HOOKS: readonly [AttachType, string][] = [
  ["tcx_ingress", "tcx/ingress"],
  ["tcx_egress", "tcx/egress"],
  ["netkit_primary", "netkit/primary"],
  ["netkit_peer", "netkit/peer"],
];

function multiHooks(ifindex: number, devname: string): Json[] {
  return HOOKS.flatMap(([type, kind]) => {
    // Refused where the kernel or the interface has no such hook: then nothing hangs there.
    const [rc, , , , entries] = addon.programQuery(ifindex, numberIn(ATTACH_TYPES, type), 0, 256, true);
    if (rc < 0) return [];
    return entries.map(({ progId, linkId }) => ({
      devname,
      ifindex,
      kind,
      name: programName(progId),
      prog_id: progId,
      prog_flags: [],
      ...(linkId === 0 ? {} : { link_id: linkId, link_flags: [] }),
    }));
  });
}

function programName(id: number): string {
  const fd = addon.openById("prog", id);
  if (fd < 0) return "";
  try {
    return readProgramInfo(fd, `program ${id}`).name;
  } finally {
    addon.closeFd(fd);
  }
}

function flowDissector(): Json[] {
  const namespace = openSync("/proc/thread-self/ns/net", "r");
  try {
    const [rc, , , , entries] = addon.programQuery(namespace, numberIn(ATTACH_TYPES, "flow_dissector"), 0, 1, false);
    return rc < 0 ? [] : entries.filter(({ progId }) => progId !== 0).map(({ progId }) => ({ id: progId }));
  } finally {
    closeSync(namespace);
  }
}

/** In the order in which the kernel runs them. */
function netfilterLinks(): Json[] {
  const found: { pf: number; hook: number; prio: number; flags: number; id: number; link_id: number }[] = [];
  for (const { id, fd } of fds("link")) {
    try {
      const { progId, netfilter } = readLinkInfo(fd, `link ${id}`);
      if (!netfilter) continue;
      const { family, hook, priority, flags } = netfilter;
      found.push({ pf: family, hook, prio: priority, flags, id: progId, link_id: id });
    } finally {
      addon.closeFd(fd);
    }
  }
  return found.sort((a, b) => a.pf - b.pf || a.hook - b.hook || a.prio - b.prio);
}
