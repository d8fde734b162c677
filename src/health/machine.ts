/** Checks of the kernel, of bpffs, of the daemon, and of what came of the last comparison. */

import { bpffs } from "../datapath/pins.js";
import type { Finding } from "../finding.js";
import type { Snapshot } from "./snapshot.js";

export function kernelVersion({ host }: Snapshot): Finding[] {
  if (host.tooOld === undefined) return [];
  return [
    {
      id: "kernel_too_old",
      severity: "critical",
      subject: "",
      what: host.tooOld,
      why: "its conntrack cannot be asked by XDP and tc programs as xgw does",
      evidence: "uname -r",
      remedy: "apt install -t bookworm-backports linux-image-amd64 && reboot # on Debian 12",
    },
  ];
}

export function kernelFeatures({ host }: Snapshot): Finding[] {
  if (host.missing.length === 0) return [];
  return [
    {
      id: "kernel_lacks",
      severity: "critical",
      subject: "",
      what: `Linux ${host.release} lacks ${host.missing.join(", ")}, or has not loaded the module`,
      why: "xgw cannot make tenants without it",
      evidence: 'grep -E "NET_VRF|NET_IPGRE|NF_CONNTRACK=|NF_FLOW_TABLE=" /boot/config-$(uname -r); lsmod',
      remedy:
        "modprobe -a vrf ip_gre nf_conntrack nf_flow_table nf_tables # else boot Debian's linux-image-amd64, not the cloud flavour",
    },
  ];
}

export function bpfFileSystem({ host }: Snapshot): Finding[] {
  if (host.hasBpffs) return [];
  return [
    {
      id: "bpffs_missing",
      severity: "critical",
      subject: bpffs,
      what: `no BPF file system is mounted on ${bpffs}`,
      why: "programs and maps cannot be pinned there, and xgw finds none of its own",
      evidence: `findmnt ${bpffs}`,
      remedy: `mount -t bpf bpf ${bpffs} # where \`ip netns exec\` hides it: nsenter --net=/run/netns/NAME xgw …`,
    },
  ];
}

export function comparison({ comparison }: Snapshot): Finding[] {
  if (!comparison) return [];
  if ("failure" in comparison) {
    const { message, remedy } = comparison.failure;
    return [
      {
        id: "cannot_compare",
        severity: "critical",
        subject: "",
        what: message,
        why: "xgw cannot compare the kernel with the config, nor put anything right or an edit in force",
        evidence: "xgw plan",
        remedy: remedy === undefined ? "xgw apply" : `xgw apply # ${remedy}`,
      },
    ];
  }
  const { pending, isBoundaryOpen } = comparison;
  return [
    ...(isBoundaryOpen
      ? [
          {
            id: "boundary_open",
            severity: "critical" as const,
            subject: "",
            what: "the nft rules that keep tenants apart are not in force as this version makes them",
            why: "tenants may reach each other, and strangers tenants",
            evidence: "xgw plan | grep -i rules; nft list tables",
            remedy: "xgw apply",
          },
        ]
      : []),
    ...(pending > 0
      ? [
          {
            id: "not_in_step",
            severity: "warning" as const,
            subject: "",
            what: `${pending} steps differ between the config and the kernel`,
            why: "what the config says is not what happens",
            evidence: "xgw plan",
            remedy: "xgw apply",
          },
        ]
      : []),
  ];
}

export function daemon({ daemon }: Snapshot): Finding[] {
  if (!daemon) return [];
  if (daemon.state === "none")
    return [
      {
        id: "no_daemon",
        severity: "note",
        subject: "",
        what: "no daemon runs for this config",
        why: "traffic goes on, but nothing is put right, and no edit comes in force by itself",
        evidence: "systemctl status xgw",
        remedy: "systemctl start xgw # or: xgw run",
      },
    ];
  if (daemon.state === "busy")
    return [
      {
        id: "daemon_busy",
        severity: "warning",
        subject: "",
        what: `the daemon, ${daemon.holder}, does not answer within 2 s`,
        why: "it is at work, or hangs: until it answers, nobody knows whether repairs and edits go on",
        evidence: "journalctl -u xgw -n 20",
        remedy: "xgw status # again in a minute; if it says the same then: systemctl restart xgw, traffic goes on",
      },
    ];
  if (!daemon.isConfigRefused) return [];
  return [
    {
      id: "config_refused",
      severity: "warning",
      subject: "",
      what: `the daemon has refused the config: ${daemon.problems[0] ?? "see its log"}`,
      why: "an older one is in force, and after a restart none",
      evidence: "xgw status; xgw validate",
      remedy: "xgw validate # and correct what it names: the daemon takes the file as soon as it is right",
    },
  ];
}
