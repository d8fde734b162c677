/** BPF programs in netfilter's hooks of IPv4, as the kernel tells of them (linux/netfilter/nfnetlink_hook.h). */

import { type Attributes, attribute, BpfError, NetlinkSocket } from "libbpf-ts";
import { be32 } from "../bytes.js";
import { netfilter, ofIpv4 } from "./netfilter.js";

export interface HookProgram {
  readonly progId: number;
  readonly priority: number;
}

/** NFNL_SUBSYS_HOOK, with NFNL_MSG_HOOK_GET in the lower byte. */
const askForHook = 12 << 8;
/** NFNLA_HOOK_*, NFNLA_HOOK_INFO_*, NFNLA_HOOK_BPF_ID. */
const ofHook = { number: 1, priority: 2, info: 6 } as const;
const ofInfo = { description: 1, type: 2 } as const;
const ofBpf = { progId: 1 } as const;
/** NFNL_HOOK_TYPE_BPF. */
const typeBpf = 2;

/**
 * Those that packets of this network namespace meet; undefined on a kernel that does not tell (CONFIG_NETFILTER_NETLINK_HOOK).
 *
 * @param hook its number (enum nf_inet_hooks)
 */
export function readHookPrograms(hook: number): readonly HookProgram[] | undefined {
  using socket = new NetlinkSocket(netfilter);
  const asked = { type: askForHook, body: Buffer.concat([ofIpv4, attribute(ofHook.number, be32(hook))]) };
  try {
    return socket.collect(asked, ofIpv4.length, (_, attributes) => toProgram(attributes));
  } catch (error) {
    if (error instanceof BpfError && error.code === "EINVAL") return undefined; // nfnetlink knows no such subsystem
    throw error;
  }
}

function toProgram(attributes: Attributes): HookProgram | undefined {
  const info = attributes.nested(ofHook.info);
  if (info?.bytes(ofInfo.type)?.readUInt32BE() !== typeBpf) return undefined;
  return {
    progId: info.nested(ofInfo.description)?.bytes(ofBpf.progId)?.readUInt32BE() ?? 0,
    priority: attributes.bytes(ofHook.priority)?.readInt32BE() ?? 0,
  };
}
