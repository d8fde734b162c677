/** Checks of the NICs, and of the devices of the two sides. */

import { nativeMtu } from "../datapath/attachments.js";
import type { Finding } from "../finding.js";
import type { Link } from "../kernel/rtnetlink.js";
import type { Desired, DesiredNic } from "../model/desired.js";
import type { NicState, Snapshot } from "./snapshot.js";

/** Each once: the NICs, and where the sides are. */
function devicesOf({ underlay, uplink, nics }: Desired): string[] {
  return [...new Set([...nics.map(({ name }) => name), underlay.device, ...(uplink ? [uplink.device] : [])])];
}

/** What a device is to the gateway. */
function roleOf({ underlay, uplink }: Desired, device: string): string {
  const sides = [...(device === underlay.device ? ["underlay"] : []), ...(device === uplink?.device ? ["uplink"] : [])];
  return sides.length > 0 ? `the ${sides.join(" and the ")}` : "a NIC";
}

export function missingDevices({ desired, links }: Snapshot): Finding[] {
  const names = new Set(links.map(({ name }) => name));
  return devicesOf(desired).flatMap((device): Finding[] =>
    names.has(device)
      ? []
      : [
          {
            id: "device_missing",
            severity: "critical",
            subject: device,
            what: `there is no device ${device}, which is ${roleOf(desired, device)}`,
            why: "nothing comes in or goes out by it, and no edit of the config can be put in force",
            evidence: `ip link show dev ${device}`,
            remedy: "ip -br link # and correct the config, or make the device",
          },
        ],
  );
}

export function downDevices({ desired, links }: Snapshot): Finding[] {
  const byName = new Map(links.map((link) => [link.name, link]));
  return devicesOf(desired).flatMap((device) => {
    const link = byName.get(device);
    return link ? downDevice(roleOf(desired, device), link) : [];
  });
}

function downDevice(role: string, { name, isUp, lacksCarrier }: Link): Finding[] {
  if (!isUp)
    return [
      {
        id: "device_down",
        severity: "critical",
        subject: name,
        what: `${name}, which is ${role}, is down`,
        why: "nothing comes in or goes out by it, and the kernel has dropped the routes that led there",
        evidence: `ip -br link show dev ${name}`,
        remedy: `ip link set dev ${name} up`,
      },
    ];
  if (!lacksCarrier) return [];
  return [
    {
      id: "no_carrier",
      severity: "critical",
      subject: name,
      what: `${name}, which is ${role}, has no carrier`,
      why: "nothing comes in or goes out by it",
      evidence: `ip -br link show dev ${name}; ethtool ${name}`,
      remedy: `ip -d link show dev ${name} # see to the cable, the switch's port, or the peer of a veth`,
    },
  ];
}

const wantedOf = ({ nics }: Desired, device: string): DesiredNic | undefined =>
  nics.find(({ name }) => name === device);

/** By the word of netlink, whatever the config and the pins say. */
export function xdpPrograms({ desired, nics }: Snapshot): Finding[] {
  return nics.flatMap((nic) => {
    const wanted = wantedOf(desired, nic.device);
    return wanted ? xdpProgram(wanted, nic) : [];
  });
}

function xdpProgram({ xdp }: DesiredNic, { device, progId, mode, isOurs, hasLink }: NicState): Finding[] {
  const evidence = `ip -d link show dev ${device}; bpftool net show dev ${device}`;
  if (progId === undefined)
    return [
      {
        id: "xdp_detached",
        severity: "critical",
        subject: device,
        what: hasLink ? `XDP has been detached from NIC ${device}` : `XDP is not attached to NIC ${device}`,
        why: "all its packets go by the kernel, many times slower; limits and refusals of the config cost more as well",
        evidence,
        remedy: "xgw apply",
      },
    ];
  if (!isOurs)
    return [
      {
        id: "xdp_foreign",
        severity: "critical",
        subject: device,
        what: `NIC ${device} runs XDP program ${progId}, which is not xgw's`,
        why: "xgw's cannot run beside it: all packets go by the kernel, if that program lets them",
        evidence: `bpftool prog show id ${progId}`,
        remedy: `ip link set dev ${device} xdp off && xgw apply # when you know whose it is`,
      },
    ];
  if (mode === xdp || mode === undefined) return [];
  return [
    {
      id: "xdp_other_mode",
      severity: "warning",
      subject: device,
      what: `XDP runs in ${mode} mode on NIC ${device}, and the config wants ${xdp}`,
      why: mode === "generic" ? "each packet has become an skb before XDP sees it" : "it is not what was decided",
      evidence,
      remedy: "xgw apply",
    },
  ];
}

/** Where the program is not attached, this may be why. */
export function mtusBeyondXdp({ desired, nics, links }: Snapshot): Finding[] {
  const mtus = new Map(links.map(({ name, mtu }) => [name, mtu]));
  const peers = new Map(links.map(({ name, kind, below }) => [name, kind === "veth" ? below : undefined]));
  return nics.flatMap(({ device, progId }): Finding[] => {
    if (wantedOf(desired, device)?.xdp !== "native" || progId !== undefined) return [];
    const peer = peers.get(device);
    const tooLong = [device, ...(peer ? [peer] : [])].find((name) => (mtus.get(name) ?? 0) > nativeMtu);
    if (tooLong === undefined) return [];
    const whose = tooLong === device ? `NIC ${device} has` : `${tooLong}, the peer of NIC ${device}, has`;
    return [
      {
        id: "mtu_beyond_xdp",
        severity: "critical",
        subject: device,
        what: `${whose} an MTU of ${mtus.get(tooLong)}, and runs no XDP program`,
        why: `many drivers take XDP up to an MTU of ${nativeMtu} only, and refuse the program beyond`,
        evidence: `ip -d link show dev ${tooLong}`,
        remedy: `ip link set dev ${tooLong} mtu ${nativeMtu} && xgw apply # or choose \`xdp: generic\` in the config`,
      },
    ];
  });
}

/** Features that put packets together before XDP sees them, by the kernel's names. */
const joining: readonly (Pick<Finding, "id" | "severity" | "why"> & {
  readonly feature: string;
  readonly flag: string;
  /** Only in this mode. */
  readonly mode?: DesiredNic["xdp"];
})[] = [
  {
    id: "lro_on",
    severity: "warning",
    feature: "rx-lro",
    flag: "lro",
    why: "it joins packets so that they cannot be forwarded as they came; many drivers refuse XDP beside it",
  },
  {
    id: "hardware_gro_on",
    severity: "note",
    feature: "rx-gro-hw",
    flag: "rx-gro-hw",
    mode: "native",
    why: "XDP has to see single frames: drivers that join them in hardware refuse the program, or join nothing while it runs",
  },
  {
    id: "gro_before_generic_xdp",
    severity: "note",
    feature: "rx-gro",
    flag: "gro",
    mode: "generic",
    why: "generic XDP runs behind GRO, and has what was joined copied into one piece first",
  },
];

export function joiningFeatures({ desired, nics }: Snapshot): Finding[] {
  return nics.flatMap(({ device, features }) =>
    joining
      .filter(({ feature, mode }) => {
        const isMeant = mode === undefined || wantedOf(desired, device)?.xdp === mode;
        return isMeant && features?.active.has(feature);
      })
      .map(
        ({ id, severity, feature, flag, why }): Finding => ({
          id,
          severity,
          subject: device,
          what: `NIC ${device} has ${feature} on`,
          why,
          evidence: `ethtool -k ${device}`,
          remedy: `ethtool -K ${device} ${flag} off`,
        }),
      ),
  );
}

export function interruptsOnOneCpu({ host, nics }: Snapshot): Finding[] {
  if (host.cpus < 2) return [];
  return nics.flatMap(({ device, interrupts }): Finding[] => {
    const cpus = new Set(interrupts.map((interrupt) => interrupt.cpus));
    const [only = ""] = cpus;
    if (interrupts.length < 2 || cpus.size > 1 || !/^\d+$/.test(only)) return [];
    return [
      {
        id: "interrupts_on_one_cpu",
        severity: "warning",
        subject: device,
        what: `CPU ${only} takes the interrupts of all ${interrupts.length} queues of NIC ${device}`,
        why: `XDP runs where the interrupt comes in: ${host.cpus - 1} of ${host.cpus} CPUs have nothing to do with it`,
        evidence: `grep . ${interrupts.map(({ irq }) => `/proc/irq/${irq}/effective_affinity_list`).join(" ")}`,
        remedy: "systemctl start irqbalance # or write each queue a CPU of its own: /proc/irq/N/smp_affinity_list",
      },
    ];
  });
}
