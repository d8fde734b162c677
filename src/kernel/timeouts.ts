/** How long conntrack keeps an established connection of which no packet comes. */

import type { ConnectionTimeouts } from "../plan/state.js";
import { ticksIn } from "./clock.js";
import { readSysctl } from "./sysctl.js";

/** Seconds, as the kernel has them by itself: for before conntrack is loaded. */
const settings = { nf_conntrack_tcp_timeout_established: 432_000, nf_conntrack_udp_timeout_stream: 120 } as const;

/** The programs count milliseconds in 32 bits. */
const millisecondsIn = (seconds: number) => Math.min(1000 * seconds, 0xffff_ffff);

export function readTimeouts(): ConnectionTimeouts {
  const seconds = (name: keyof typeof settings) => Number(readSysctl(`net.netfilter.${name}`) ?? settings[name]);
  const [tcp, udp] = [seconds("nf_conntrack_tcp_timeout_established"), seconds("nf_conntrack_udp_timeout_stream")];
  return {
    tcpTimeoutMs: millisecondsIn(tcp),
    udpTimeoutMs: millisecondsIn(udp),
    tcpTimeoutTicks: ticksIn(tcp),
    udpTimeoutTicks: ticksIn(udp),
  };
}
