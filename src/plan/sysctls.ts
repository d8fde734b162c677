/** The kernel's settings that the slow path needs: path below /proc/sys with dots, and value. Pure. */

import type { Desired } from "../model/desired.js";
import type { Device } from "./state.js";

export function globalSysctls(desired: Desired): [string, string][] {
  return [
    ["net.ipv4.ip_forward", "1"],
    ["net.netfilter.nf_conntrack_tcp_be_liberal", "1"], // the fast path's packets are not seen by the window tracking
    [`net.ipv4.conf.${desired.underlay.device}.rp_filter`, "0"],
    ["net.ipv4.conf.all.send_redirects", "0"], // a device sends them when its own setting or this one says so
  ];
}

/** Of devices by name. */
export function sysctlsOf(devices: Iterable<readonly [string, Device]>): [string, string][] {
  return [...devices].flatMap(([name, { kind }]) => (kind === "vrf" ? vrfSysctls(name) : tunnelSysctls(name)));
}

const vrfSysctls = (vrf: string): [string, string][] => [[`net.ipv4.conf.${vrf}.rp_filter`, "0"]];

const tunnelSysctls = (tunnel: string): [string, string][] => [
  [`net.ipv4.conf.${tunnel}.rp_filter`, "0"],
  // What comes out of a tunnel goes back into it as a rule, and a redirect would send its sender past the gateway.
  [`net.ipv4.conf.${tunnel}.send_redirects`, "0"],
  // Or an address that goes would take with it the one of the same network that came for it.
  [`net.ipv4.conf.${tunnel}.promote_secondaries`, "1"],
];
