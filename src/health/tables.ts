/** Checks of what runs full, and of what was lost for want of room. */

import type { Losses } from "../datapath/usage.js";
import type { Finding, Severity } from "../finding.js";
import type { Counters, Snapshot, TableUse } from "./snapshot.js";

/** Shares of a table from which on it is nearly full. */
const fill: readonly (readonly [severity: Severity, share: number])[] = [
  ["critical", 0.95],
  ["warning", 0.8],
];

const severityOf = (used: number, places: number): Severity | undefined =>
  places > 0 ? fill.find(([, share]) => used >= share * places)?.[0] : undefined;

const percent = (used: number, places: number) => `${Math.floor((100 * used) / places)} %`;

/** How much a counter has grown, in words that begin with the number, and whether it goes on. */
interface Grown {
  readonly count: number;
  readonly isGoingOn: boolean;
  readonly when: string;
}

/** What a counter says; undefined when it says nothing. */
function grown({ counters, earlier }: Snapshot, read: (counters: Counters) => number): Grown | undefined {
  const total = read(counters);
  // Programs that were loaded anew begin from 0.
  const since = earlier ? Math.max(0, total - read(earlier)) : 0;
  if (earlier && since > 0) {
    const seconds = Math.max(1, Math.round((counters.atMs - earlier.atMs) / 1000));
    return { count: since, isGoingOn: true, when: `in the last ${seconds} s` };
  }
  return total > 0 ? { count: total, isGoingOn: false, when: "so far" } : undefined;
}

/** Of a counter that only says what is going on. */
const severityOfGrowth = ({ isGoingOn }: Grown, severity: Severity): Severity => (isGoingOn ? severity : "note");

export function unsentPackets(snapshot: Snapshot): Finding[] {
  return [...snapshot.counters.unsent.keys()].flatMap((nic): Finding[] => {
    const lost = grown(snapshot, ({ unsent }) => unsent.get(nic) ?? 0);
    if (!lost) return [];
    return [
      {
        id: "xdp_unsent",
        severity: severityOfGrowth(lost, "critical"),
        subject: nic,
        what: `${lost.count} packets that XDP sent by NIC ${nic} were not taken, ${lost.when}`,
        why: "they are lost, though they count as forwarded: flows stay with XDP until their way is found shut",
        evidence: "xgw status -j | jq '.nics'; bpftool prog tracelog",
        remedy:
          `ethtool -l ${nic} # give it as many queues as there are CPUs (ethtool -L); of a veth, GRO on at its peer ` +
          "(ethtool -K PEER gro on); if it goes on, `xdp: generic` in the config",
      },
    ];
  });
}

export function conntrackFill(snapshot: Snapshot): Finding[] {
  const { conntrack } = snapshot;
  const { entries, max } = conntrack;
  const evidence = "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; conntrack -S";
  const remedy = `sysctl net.netfilter.nf_conntrack_max=${2 * max} # and \`limits.sessions\` in the config, to keep it`;
  const severity = severityOf(entries, max);
  const lost = grown(snapshot, ({ conntrackDrops }) => conntrackDrops);
  return [
    ...(severity
      ? [
          {
            id: "conntrack_full",
            severity,
            subject: "",
            what: `the kernel's table of connections is ${percent(entries, max)} full: ${entries} of ${max}`,
            why: "when it is full, new connections are dropped, and those without an answer are ended, whosever they are",
            evidence,
            remedy,
          },
        ]
      : []),
    ...(lost
      ? [
          {
            id: "conntrack_drops",
            severity: severityOfGrowth(lost, "critical"),
            subject: "",
            what: `${lost.count} packets were dropped, ${lost.when}, because conntrack had no room`,
            why: "new connections do not come about",
            evidence,
            remedy,
          },
        ]
      : []),
  ];
}

export function neighbourFill(snapshot: Snapshot): Finding[] {
  const { neighbours } = snapshot;
  if (!neighbours) return [];
  const { entries, max } = neighbours;
  const evidence = "ip -s ntable show name arp_cache; sysctl net.ipv4.neigh.default.gc_thresh3";
  const remedy = `sysctl net.ipv4.neigh.default.gc_thresh3=${2 * max} # and \`limits.neighbours\` in the config, to keep it`;
  const severity = severityOf(entries, max);
  const lost = grown(snapshot, ({ neighbourOverflows }) => neighbourOverflows);
  return [
    ...(severity
      ? [
          {
            id: "neighbours_full",
            severity,
            subject: "",
            what: `the kernel's neighbour table is ${percent(entries, max)} full: ${entries} of ${max} (gc_thresh3)`,
            why: "when it is full, hosts that are not in it yet cannot be reached; permanent entries are in the figure, and do not count",
            evidence,
            remedy,
          },
        ]
      : []),
    ...(lost
      ? [
          {
            id: "neighbour_overflows",
            severity: severityOfGrowth(lost, "critical"),
            subject: "",
            what: `${lost.count} neighbours found no room in the kernel's table, ${lost.when}`,
            why: "packets to hosts that are not in it are dropped",
            evidence,
            remedy,
          },
        ]
      : []),
  ];
}

const ofTables: Readonly<Record<TableUse["name"], { readonly id: string; readonly hint: string }>> = {
  flows: {
    id: "flows_full",
    hint: "`flows` in the config makes it larger",
  },
  templates: {
    id: "templates_full",
    hint: "fewer far ends and next hops for each tenant need fewer",
  },
  rules: {
    id: "rules_full",
    hint: "fewer rules in tenants' policies need fewer",
  },
};

export function tableFill({ tables }: Snapshot): Finding[] {
  return tables.flatMap(({ name, used, places }): Finding[] => {
    if (!severityOf(used, places)) return [];
    const { id, hint } = ofTables[name];
    return [
      {
        id,
        severity: "warning", // what finds no place goes by the kernel
        subject: "",
        what: `XDP's table of ${name} is ${percent(used, places)} full: ${used} of ${places}`,
        why: "connections that find no place in it go by the kernel",
        evidence: "xgw status -j | jq '.tenants[] | {name, usage, losses}'",
        remedy: `xgw validate && xgw apply # ${hint}; \`limits.${name}\` of a tenant says how much it may have`,
      },
    ];
  });
}

const lossWords: Readonly<Record<keyof Losses, string>> = {
  flowsEvicted: "flows gave way to others'",
  flowsRefused: "flows found no place in XDP's table",
  templatesRefused: "flows found no header template",
  rulesRefused: "flows found no slot for their rule",
  eventsLost: "events were lost: over a tenant's share, or more than a monitor has read",
};

/** What is going on only: `status` has the sums. */
export function losses(snapshot: Snapshot): Finding[] {
  return (Object.keys(lossWords) as (keyof Losses)[]).flatMap((name): Finding[] => {
    const lost = grown(snapshot, (counters) => counters.losses[name]);
    const isOfEvents = name === "eventsLost";
    if (!lost || (!lost.isGoingOn && !isOfEvents)) return [];
    return [
      {
        id: isOfEvents ? "events_lost" : "places_refused",
        severity: isOfEvents ? "note" : "warning",
        subject: name,
        what: isOfEvents ? lossWords[name] : `${lost.count} ${lossWords[name]}, ${lost.when}`,
        why: isOfEvents ? "packets are not; what is counted is exact" : "the kernel carries them, slower",
        evidence: "xgw status -j | jq '.tenants[] | {name, losses}'",
        remedy: isOfEvents
          ? "xgw validate # `limits.eventsPerSecond` of a tenant gives it more"
          : "xgw status -j | jq '.tenants[] | {name, usage}' # and see docs/limits.md for the key that gives a tenant more",
      },
    ];
  });
}
