/** The kernel's settings that the slow path needs: path below /proc/sys with dots, and value. Pure. */

import type { Desired } from "../model/desired.js";
import { type KernelTable, kernelTables } from "../model/kernel-tables.js";
import type { Device } from "./state.js";

/** What the machine's settings, and its devices, ask of those of xgw's devices. */
export interface Surroundings {
  /** Devices that tunnelled packets may come in by. */
  readonly underlayDevices: readonly string[];
  /**
   * The machine's setting for all devices is strict, which drops what leaves by another device than it comes by. The stricter
   * of both settings holds, but loose (2) is more than strict (1): a device's own makes it loose.
   */
  readonly isReversePathStrict?: boolean;
}

export const reversePathOfAll = "net.ipv4.conf.all.rp_filter";

const reversePath = (device: string, isStrict = false): [string, string] => [
  `net.ipv4.conf.${device}.rp_filter`,
  isStrict ? "2" : "0",
];

/** A device of its own counts, whatever ip_forward says. */
const forwardingOf = (device: string): [string, string] => [`net.ipv4.conf.${device}.forwarding`, "1"];

export function globalSysctls(
  desired: Desired,
  { underlayDevices, isReversePathStrict }: Surroundings,
): [string, string][] {
  const { underlay, uplink, nics } = desired;
  const sides = new Set([underlay.device, ...(uplink ? [uplink.device] : []), ...nics.map(({ name }) => name)]);
  return [
    ...tableSysctls(desired),
    [fragmentThreshold, String(desired.fragmentMemory)],
    ["net.ipv4.ipfrag_time", "5"], // what is lost on the way keeps its room for so many seconds
    [forwarding, "1"],
    // What routers of the underlay report about the way to an endpoint counts for what the tunnels carry: what does not fit
    // is fragmented inside, or refused with what fits. Forwarded packets would have nothing of it, and vanish.
    ["net.ipv4.ip_forward_use_pmtu", "1"],
    ["net.netfilter.nf_conntrack_tcp_be_liberal", "1"], // the fast path's packets are not seen by the window tracking
    ...[...sides].map(forwardingOf), // also asked by XDP's look-ups, of the NIC
    ...[...new Set([underlay.device, ...underlayDevices])].map((device) => reversePath(device, isReversePathStrict)),
    // With forwarding on it takes both settings to believe one. Another way to an endpoint would be all tenants'.
    ["net.ipv4.conf.all.accept_redirects", "0"],
    ["net.ipv4.conf.all.send_redirects", "0"], // a device sends them when its own setting or this one says so
  ];
}

/**
 * How large the kernel's tables may become. All of the machine has them, so what is there already is raised, never lowered,
 * and another network namespace than the first one has no hand in them.
 *
 * gc_thresh1 stays as it is: beyond that many neighbours the kernel removes those that nobody uses. From gc_thresh2 on it
 * removes those in use as well, whosever they are, so that it is above what tenants may have.
 */
export function tableSysctls({ promised }: Desired): [string, string][] {
  const max = (table: KernelTable) => promised[table] + kernelTables[table].reserve;
  return [
    // Each entry is in the table twice, and a bucket is a pointer.
    [conntrackBuckets, String(Math.ceil(max("sessions") / 2))],
    [conntrackMax, String(max("sessions"))],
    ["net.ipv4.neigh.default.gc_thresh2", String(max("neighbours"))],
    ["net.ipv4.neigh.default.gc_thresh3", String(max("neighbours") + kernelTables.neighbours.reserve)],
  ];
}

/** Whether the machine forwards IPv4 at all, between whatever devices. */
export const forwarding = "net.ipv4.ip_forward";
/** That, or whether a device takes part. */
export const isForwarding = (name: string): boolean =>
  name === forwarding || (name.startsWith("net.ipv4.conf.") && name.endsWith(".forwarding"));
export const conntrackMax = "net.netfilter.nf_conntrack_max";
const conntrackBuckets = "net.netfilter.nf_conntrack_buckets";
const fragmentThreshold = "net.ipv4.ipfrag_high_thresh";

/** Whether more than the wanted value is right, too. */
export const isMinimum = (name: string): boolean =>
  name === conntrackMax ||
  name === conntrackBuckets ||
  name === fragmentThreshold ||
  name.startsWith("net.ipv4.neigh.default.gc_thresh");

/** Whether a setting of this value does for what is wanted. */
export const suffices = (name: string, value: string, wanted: string): boolean =>
  isMinimum(name) ? Number(value) >= Number(wanted) : value === wanted;

/** Of devices by name. */
export function sysctlsOf(
  devices: Iterable<readonly [string, Device]>,
  isReversePathStrict = false,
): [string, string][] {
  return [...devices].flatMap(([name, { kind }]) => [
    reversePath(name, isReversePathStrict),
    ...(kind === "vrf" ? vrfSysctls(name) : tunnelSysctls(name)),
  ]);
}

/** Asked by XDP's look-ups. */
const vrfSysctls = (vrf: string): [string, string][] => [forwardingOf(vrf)];

const tunnelSysctls = (tunnel: string): [string, string][] => [
  forwardingOf(tunnel), // asked of what comes out of it, though its routes are the VRF's (ip_rcv_finish)
  // What comes out of a tunnel goes back into it as a rule, and a redirect would send its sender past the gateway.
  [`net.ipv4.conf.${tunnel}.send_redirects`, "0"],
  // Or an address that goes would take with it the one of the same network that came for it.
  [`net.ipv4.conf.${tunnel}.promote_secondaries`, "1"],
];
