import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../../errors.js";
import { defineCommand } from "../command.js";
import { openFlows } from "../flow-source.js";

/** How often the ring is looked at, and how often it is said what was left out, milliseconds. */
const [lookMs, sayMs] = [50, 1000];

export const monitor = defineCommand({
  name: "monitor",
  summary: "Show drops, and flows that are born and die, as they happen",
  description:
    "An event a line, until it is stopped. Up to four monitors of an instance run at a time. Of a flood some are shown and the rest is counted: 64 events of a tenant for each CPU in about a quarter of a second; it is said what was left out. With -j: one JSON value a line (docs/output/monitor.schema.json).",
  options: {
    tenant: { type: "string", describe: "Of this tenant: name or GRE key" },
    kind: { type: "string", choices: ["drop", "kernel_drop", "flow_born", "flow_died"], describe: "Of this kind" },
    reason: { type: "string", describe: "For this reason (docs/reasons.md)" },
    net: { type: "string", describe: "With an end, or a tunnel endpoint, in this network or of this address" },
    port: { type: "number", describe: "With this port at either end" },
    protocol: { type: "string", describe: "tcp, udp, icmp or a number" },
    pcap: { type: "string", describe: "Write dropped packets there too (pcapng): the first 128 bytes of each" },
    count: { type: "number", default: 0, describe: "End after so many events; 0: never" },
    seconds: { type: "number", default: 0, describe: "End after so many seconds; 0: never" },
    instance: { type: "string", describe: "The instance, when its config is gone or broken" },
  },
  examples: [
    ["xgw monitor --kind drop", "what is dropped, whose it is and why"],
    ["xgw monitor --tenant user1 --pcap drops.pcapng", "the same for Wireshark: reasons are the packets' comments"],
  ],
  async handler({ pcap, count, seconds, instance, ...words }, context) {
    const { Pins } = await import("../../datapath/pins.js");
    const { MonitorRing, renewMs } = await import("../../datapath/monitor-ring.js");
    const kernel = await import("../../datapath/kernel-drops.js");
    const { eventTest } = await import("../../monitor/filter.js");
    const { isoTime, readEvent } = await import("../../monitor/event.js");
    const { PcapFile } = await import("../../monitor/pcap-file.js");
    const { commentOf, eventLines, leftOutLines } = await import("../monitor-lines.js");
    for (const [name, number] of Object.entries({ count, seconds }))
      if (!(number >= 0))
        throw new UsageError(`--${name} ${number} cannot be`, { remedy: "use a number, 0 for no end" });
    const { tenants, describeRule, instance: of, view } = await openFlows(instance, context);
    view.close();
    const kernelReasons = kernel.kernelReasons();
    const isMeant = eventTest(words, tenants, kernelReasons);
    const epochNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
    const naming = {
      tenants: new Map(tenants.map((tenant) => [tenant.id, tenant])),
      describeRule,
      kernelReasons,
      epochNs,
    };
    using ring = MonitorRing.open(new Pins(of));
    using drops = new kernel.KernelDrops(new Pins(of), ring.slot);
    using file = pcap === undefined ? undefined : new PcapFile(pcap);
    const stopped = stopSignal(context.outputClosed);
    const ends = seconds === 0 ? Number.POSITIVE_INFINITY : performance.now() + 1000 * seconds;
    let [shown, renewed, said] = [0, performance.now(), performance.now()];
    const missed = () => {
      const [byPrograms, byKernel] = [ring.missed(), drops.missed()];
      return { overShare: byPrograms.overShare + byKernel.overShare, full: byPrograms.full + byKernel.full };
    };
    let before = missed();
    const sayLeftOut = () => {
      const now = missed();
      const leftOut = { overShare: now.overShare - before.overShare, full: now.full - before.full };
      before = now;
      if (leftOut.overShare + leftOut.full === 0) return;
      const event = { time: isoTime(process.hrtime.bigint() + epochNs), kind: "left_out", ...leftOut } as const;
      if (context.json) context.printJson(event);
      else for (const line of leftOutLines(event)) context.print(line);
    };
    context.note(`monitor of instance ${of}: listening`);
    const isDone = () => stopped.aborted || (count > 0 && shown >= count) || performance.now() >= ends;
    while (!isDone()) {
      for (const record of ring.take()) {
        const { event, packet, timeNs } = readEvent(record, naming);
        if (!isMeant(event) || (count > 0 && shown >= count)) continue;
        shown++;
        if (packet) file?.add(packet, timeNs, commentOf(event));
        if (context.json) context.printJson(event);
        else for (const line of eventLines(event)) context.print(line);
      }
      const now = performance.now();
      if (now - renewed >= renewMs) {
        ring.renew();
        renewed = now;
      }
      if (now - said >= sayMs) {
        sayLeftOut();
        said = now;
      }
      await sleep(lookMs, undefined, { signal: stopped }).catch(() => undefined);
    }
    sayLeftOut();
  },
});

/** Nobody reads any more, or the process is asked to end: it then gives its slot back. */
function stopSignal(outputClosed: AbortSignal): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  return AbortSignal.any([outputClosed, stop.signal]);
}
