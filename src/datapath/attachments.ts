/** Programs on devices, held by pinned links: they stay when the daemon goes, and are replaced atomically. */

import { existsSync } from "node:fs";
import { BpfError, BpfLink, BpfProgram, type LinkInfo, queryXdp } from "libbpf-ts";
import { crashPoint } from "../crash.js";
import { ForeignError, KernelError } from "../errors.js";
import { readHookPrograms } from "../kernel/netfilter-hooks.js";
import { readLinksOf } from "../kernel/rtnetlink.js";
import type { Desired, XdpMode } from "../model/desired.js";
import { isTunnelPin, pinName } from "../plan/render.js";
import { type Attachment, countedNeighbours, isOnDevice, type NetfilterHook, type ProgramName } from "../plan/state.js";
import { kernelNames } from "./entries.js";
import type { DeviceNames } from "./layout.js";
import { forgetNeighbours } from "./neighbours.js";
import type { Pins } from "./pins.js";
import { forgetSessions, sessionsAreCounted } from "./sessions.js";

/** @param which of the pinned links; all when not given */
export function observeAttachments(
  pins: Pins,
  names: DeviceNames,
  which: readonly string[] = pins.links(),
): Map<string, Attachment> {
  const programs = pinnedPrograms(pins);
  const attachments = new Map<string, Attachment>();
  const counted = sessionsAreCounted(pins);
  for (const name of which) {
    if (!existsSync(pins.link(name))) continue;
    using link = BpfLink.openPinned(pins.link(name));
    const info = link.info;
    const ifindex = info.ifindex ?? 0;
    const { program, fingerprint } = programs.get(info.progId) ?? { program: "xgw_xdp", fingerprint: "" };
    if (!isDeviceLink(info)) {
      const attachment: Attachment = { ...placeOf(info, program), program, fingerprint };
      // Programs that count, but have not been told from what on, count as not attached.
      if (isInForce(info) && (counted || attachment.hook !== "function")) attachments.set(name, attachment);
      continue;
    }
    const device = ifindex === 0 ? "" : names.nameOf(ifindex);
    if (info.type === "xdp") {
      const mode = ifindex === 0 ? undefined : queryXdp(ifindex).mode;
      attachments.set(name, {
        device,
        hook: "xdp",
        program,
        fingerprint,
        ...(mode === "native" || mode === "generic" || mode === "offload" ? { mode } : {}),
      });
    } else {
      const hook = info.attachType === "tcx_ingress" ? "tcx-ingress" : "tcx-egress";
      attachments.set(name, { device, hook, program, fingerprint });
    }
  }
  return attachments;
}

/** NICs that XDP runs on now, by the pinned links, whatever the config says. */
export function attachedNics(pins: Pins): { readonly name: string; readonly mode: XdpMode }[] {
  const links = pins.links().filter((name) => name.startsWith("xdp_"));
  return [...observeAttachments(pins, kernelNames, links).values()].flatMap(({ device, mode }) =>
    mode === undefined ? [] : [{ name: device, mode }],
  );
}

const isDeviceLink = ({ type }: LinkInfo) => type === "xdp" || type === "tcx";

/** Where a link is that is on no device. */
function placeOf({ type, netfilter }: LinkInfo, program: ProgramName): Pick<Attachment, "device" | "hook"> {
  if (netfilter) return { device: netfilterHooks[netfilter.hook] ?? "", hook: "netfilter" };
  return type === "tracing"
    ? { device: "conntrack", hook: "function" }
    : { device: tracepoints[program]?.of ?? "", hook: "tracepoint" };
}

/**
 * Whether the kernel runs the program of a link that is on no device. What was detached from netfilter tells the same of
 * itself as before, so that the hook is asked; the other kinds cannot be detached.
 */
function isInForce({ progId, netfilter }: LinkInfo): boolean {
  if (!netfilter) return true;
  const running = readHookPrograms(netfilter.hook);
  return running?.some((one) => one.progId === progId && one.priority === netfilter.priority) ?? true;
}

/** By their numbers (enum nf_inet_hooks), those that programs are on. */
const netfilterHooks: Readonly<Record<number, NetfilterHook>> = {
  0: "prerouting",
  1: "local_in",
  2: "forward",
  4: "postrouting",
};

/**
 * Whether a program of a NIC's or the kernel's own hooks no longer runs, as after `bpftool link detach`. Tunnels' links are not
 * looked at: there may be thousands of them, and what they serve is looked at by the full comparison.
 */
export function hasLostPrograms(pins: Pins): boolean {
  return pins.links().some((name) => {
    if (isTunnelPin(name)) return false;
    try {
      using link = BpfLink.openPinned(pins.link(name));
      const info = link.info;
      return isDeviceLink(info) ? (info.ifindex ?? 0) === 0 : !isInForce(info);
    } catch {
      return true; // gone between the list and the look
    }
  });
}

/** Ids of the programs of pinned links: they are ours, too, when somebody has removed their own pins. */
function linkedPrograms(pins: Pins): number[] {
  return pins.links().map((name) => {
    using link = BpfLink.openPinned(pins.link(name));
    return link.info.progId;
  });
}

/** By program id. */
function pinnedPrograms(pins: Pins): Map<number, { program: ProgramName; fingerprint: string }> {
  const programs = new Map<number, { program: ProgramName; fingerprint: string }>();
  for (const fingerprint of pins.fingerprints())
    for (const name of pins.programs(fingerprint)) {
      using program = BpfProgram.openPinned(pins.program(fingerprint, name));
      programs.set(program.id, { program: name as ProgramName, fingerprint });
    }
  return programs;
}

/**
 * A link on the right device gets the new program, between one packet and the next; any other is made anew. On the kernel
 * itself none can be replaced. Of those on tracepoints and in netfilter the new one is there before the old one goes: both
 * run for a moment, which changes no count of neighbours, and takes from a tenant's new connections of a second twice. On a
 * function of the kernel there is a gap, and what was counted has to be settled afterwards: see sessions.ts.
 *
 * @throws KernelError when the NIC does not take the program in that mode
 */
export function attach(
  pins: Pins,
  name: string,
  attachment: Attachment,
  was: Attachment | undefined,
  names: DeviceNames,
): void {
  const path = pins.link(name);
  using program = BpfProgram.openPinned(pins.program(attachment.fingerprint, attachment.program));
  if (isOnDevice(attachment) && was && was.device === attachment.device && was.mode === attachment.mode) {
    using link = BpfLink.openPinned(path);
    link.update(program);
    crashPoint(`update ${name}`);
    return;
  }
  const overlaps = attachment.hook === "tracepoint" || attachment.hook === "netfilter";
  if (attachment.hook === "function") forgetSessions(pins);
  if (countsNeighbours.includes(attachment.program) && !was) forgetNeighbours(pins);
  if (!overlaps && existsSync(path)) detach(pins, name);
  try {
    using link = makeLink(program, attachment, names);
    crashPoint(`attach ${name}`);
    if (existsSync(path)) takePlace(pins, name, link);
    else link.pin(path);
    crashPoint(`pin ${name}`);
  } catch (error) {
    throw attachError(attachment, error);
  }
}

/**
 * A link is there as long as its pin, or whoever holds it: the new one has a pin before the old one loses its own, so that a
 * run that dies leaves one of them, or both until the next run.
 */
function takePlace(pins: Pins, name: string, link: BpfLink): void {
  const next = nextName(name);
  if (existsSync(pins.link(next))) detach(pins, next);
  link.pin(pins.link(next));
  crashPoint(`pin ${next}`);
  using old = BpfLink.openPinned(pins.link(name));
  pins.renameLink(next, name);
  crashPoint(`rename ${next}`);
  release(old);
}

const nextName = (name: string) => `${name}_next`;

/** Without one of them, what was counted before is wrong. */
const countsNeighbours: readonly ProgramName[] = ["xgw_neighbour_made", "xgw_neighbour_seen", "xgw_neighbour_gone"];

/** By the program on each, with what they are about. */
const tracepoints: Readonly<Partial<Record<ProgramName, { readonly name: string; readonly of: string }>>> = {
  xgw_neighbour_made: { name: "neigh_create", of: countedNeighbours },
  xgw_neighbour_seen: { name: "neigh_update_done", of: countedNeighbours },
  xgw_neighbour_asked: { name: "neigh_timer_handler", of: countedNeighbours },
  xgw_neighbour_gone: { name: "neigh_cleanup_and_release", of: countedNeighbours },
  xgw_not_redirected: { name: "xdp_redirect_err", of: "nics" },
  xgw_not_taken: { name: "xdp_devmap_xmit", of: "nics" },
  xgw_not_transmitted: { name: "xdp_exception", of: "nics" },
  xgw_not_transmitted_at_once: { name: "xdp_bulk_tx", of: "nics" },
};

function makeLink(program: BpfProgram, { program: name, device, hook, mode }: Attachment, names: DeviceNames): BpfLink {
  switch (hook) {
    case "function":
      return program.attachTracing(name === "xgw_session_refused" ? "trace_fexit" : "trace_fentry");
    case "tracepoint":
      return program.attachRawTracepoint(tracepoints[name]?.name ?? "");
    case "netfilter":
      return attachNetfilter(program, name, device as NetfilterHook);
    case "xdp":
      return program.attachXdp({ ifindex: names.indexOf(device), mode: mode ?? "native" });
    case "tcx-ingress":
      return program.attachTcx({ ifindex: names.indexOf(device), direction: "ingress" });
    case "tcx-egress":
      return program.attachTcx({ ifindex: names.indexOf(device), direction: "egress" });
  }
}

/**
 * Between nft's chains forward (priority filter, 0) and forwarded (filter + 10), and elsewhere before NAT and long before
 * connections are confirmed; those about fragments before and behind what puts them together
 * (NF_IP_PRI_CONNTRACK_DEFRAG, -400). Two BPF programs cannot have one priority: another instance has one, or the one that
 * this program follows.
 */
const priorities = [5, 6, 7, 8, 9, 4, 3, 2, 1] as const;
const prioritiesOf: Readonly<Partial<Record<ProgramName, readonly number[]>>> = {
  xgw_fragment: priorities.map((priority) => priority - 450),
  xgw_reassembled: priorities.map((priority) => priority - 400),
};

function attachNetfilter(program: BpfProgram, name: ProgramName, hook: NetfilterHook): BpfLink {
  let failure: unknown;
  for (const priority of prioritiesOf[name] ?? priorities)
    try {
      return program.attachNetfilter({ family: "ipv4", hook, priority });
    } catch (error) {
      if (!(error instanceof BpfError) || error.code !== "EBUSY") throw error;
      failure = error;
    }
  throw failure;
}

function attachError(attachment: Attachment, error: unknown): unknown {
  if (!(error instanceof BpfError)) return error;
  const where = `${attachment.device} (${attachment.mode ?? attachment.hook})`;
  if (error.code === "EBUSY" || error.code === "EEXIST")
    return new ForeignError(`another program is attached to ${where}`, { cause: error, remedy: "detach it first" });
  if (attachment.hook !== "xdp") return error;
  const mtu = readLinksOf([attachment.device])[0]?.mtu ?? 0;
  const isTooLong = attachment.mode === "native" && (mtu > nativeMtu || error.code === "ERANGE");
  const why = isTooLong
    ? `: many drivers take it up to an MTU of ${nativeMtu} only, a veth looks at its peer's, and this one has ${mtu}`
    : "";
  return new KernelError(`${where} does not take the XDP program: ${error.message}${why}`, {
    cause: error,
    remedy: isTooLong
      ? `lower the MTU: ip link set dev ${attachment.device} mtu ${nativeMtu} (of a veth its peer's); or choose \`xdp: generic\``
      : "choose another mode with `xdp: generic` or `xdp: native` under `nics`",
    details: { device: attachment.device, mtu },
  });
}

/**
 * What drivers that have a page for each frame take XDP up to, bytes: a page less the headroom, what an skb has behind its data,
 * and an Ethernet header with a tag and a sum. Others take more.
 */
export const nativeMtu = 3498;

/** The pin goes last: were it gone first, a crash in between would leave a program that nobody knows of. */
export function detach(pins: Pins, name: string): void {
  using link = BpfLink.openPinned(pins.link(name));
  release(link);
  crashPoint(`detach ${name}`);
  pins.removeLink(name);
  crashPoint(`unpin ${name}`);
}

/** At once; what cannot be detached goes with the last who holds it. */
function release(link: BpfLink): void {
  try {
    link.detach();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error; // its device has gone, and it with it
  }
}

/** What runs as XDP on a NIC, by the word of netlink, and what our link says of itself. */
export interface XdpState {
  readonly device: string;
  readonly mode?: "native" | "generic" | "offload" | "multi" | undefined;
  /** Missing where none runs. */
  readonly progId?: number | undefined;
  readonly isOurs: boolean;
  /** Whether there is a link of ours for it, which somebody may have detached. */
  readonly hasLink: boolean;
}

/** @param devices NICs; those that are not there are left out */
export function observeXdp(pins: Pins, devices: readonly string[], names: DeviceNames): XdpState[] {
  const programs = pinnedPrograms(pins);
  return devices.flatMap((device) => {
    const ifindex = names.indexOf(device);
    if (ifindex === 0) return [];
    const { mode, progId } = queryXdp(ifindex);
    const linked = linkedProgram(pins, pinName("xdp", device));
    const isOurs = progId !== undefined && (progId === linked || programs.has(progId));
    return [{ device, mode, progId, isOurs, hasLink: linked !== undefined }];
  });
}

function linkedProgram(pins: Pins, name: string): number | undefined {
  if (!existsSync(pins.link(name))) return undefined;
  using link = BpfLink.openPinned(pins.link(name));
  return link.info.progId;
}

/** NETDEV_XDP_ACT_* (linux/netdev.h): what a driver says that it can. */
const modeFeature = { native: 1n << 0n, generic: 0n, offload: 1n << 4n } as const;

/**
 * Whether every NIC can take the program, asked before anything is changed.
 *
 * @throws ForeignError when XDP on a NIC is somebody else's
 * @throws KernelError when its driver lacks the mode
 */
export function checkXdp(pins: Pins, desired: Desired, names: DeviceNames): void {
  const ours = new Set([...pinnedPrograms(pins).keys(), ...linkedPrograms(pins)]);
  for (const nic of desired.nics) {
    const { progId, featureFlags } = queryXdp(names.indexOf(nic.name));
    if (progId !== undefined && !ours.has(progId))
      throw new ForeignError(`NIC ${nic.name} runs XDP program ${progId}, which is not xgw's`, {
        remedy: `see who owns it: bpftool prog show id ${progId}; detach it: ip link set dev ${nic.name} xdp off`,
        details: { device: nic.name, progId },
      });
    const feature = modeFeature[nic.xdp];
    if ((featureFlags & feature) !== feature)
      throw new KernelError(`the driver of NIC ${nic.name} has no XDP in ${nic.xdp} mode`, {
        remedy: "choose another mode under `nics`; `xdp: generic` works on every NIC",
        details: { device: nic.name, mode: nic.xdp },
      });
  }
}
