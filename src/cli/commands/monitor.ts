import { UsageError } from "../../errors.js";
import { defineCommand } from "../command.js";
import { openFlows } from "../flow-source.js";

export const monitor = defineCommand({
  name: "monitor",
  summary: "Show drops and flows as they happen, each with its reason",
  description:
    "A line an event: drops by xgw's programs and, of tenants' packets, by the kernel; flows born, died and decided anew; and, where a daemon runs, configs applied and drift repaired. Bounded: of many drops at once some are shown, and the others counted as left out. Up to four monitors listen at once. With -j: one JSON value a line (docs/output/monitor.schema.json).",
  options: {
    tenant: { type: "string", describe: "Of this tenant: name or GRE key" },
    kind: { type: "string", array: true, describe: "drop, flow or daemon; may be given more than once" },
    reason: { type: "string", array: true, describe: "With this reason (docs/reasons.md, or the kernel's)" },
    net: { type: "string", describe: "With an end in this network or of this address" },
    port: { type: "number", describe: "With this port at either end" },
    protocol: { type: "string", describe: "tcp, udp, icmp or a number" },
    pcap: { type: "string", describe: "Write the dropped packets into this file (pcapng)" },
    count: { type: "number", describe: "Stop after so many events" },
    seconds: { type: "number", describe: "Stop after so long" },
    instance: { type: "string", describe: "The instance, when its config is gone or broken" },
  },
  examples: [
    ["xgw monitor --kind drop --tenant user1", "why a tenant's packets do not get through"],
    ["xgw monitor --pcap drops.pcapng --seconds 60", "for Wireshark: reason and tenant in each packet's comment"],
    ["xgw monitor -j | jq -r .reason", "for programs"],
  ],
  async handler({ instance, pcap, count, seconds, ...words }, context) {
    const { EventTap } = await import("../../datapath/event-tap.js");
    const { readTenants } = await import("../../datapath/flow-view.js");
    const { countDrops, monitor } = await import("../../monitor/monitor.js");
    const { eventFilter } = await import("../../monitor/filter.js");
    const { deviceNames } = await import("../../monitor/devices.js");
    const { Capture } = await import("../../monitor/capture.js");
    const { namedTenants } = await import("../../flow/subject.js");
    const { findDaemon } = await import("../../daemon-socket.js");
    const { eventLines } = await import("../monitor-lines.js");
    checkPositive("--count", count);
    checkPositive("--seconds", seconds);
    const { view, tenants, describeRule, instance: name } = await openFlows(instance, context);
    view.close(); // only what it said of tenants is needed
    const { pins } = view;
    const filter = eventFilter(words, tenants);
    using capture = pcap === undefined ? undefined : new Capture(pcap);
    const before = countDrops(pins, undefined, tenants);
    using tap = new EventTap(pins);
    const stop = new AbortController();
    const end = () => stop.abort();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
    context.outputClosed.addEventListener("abort", end);
    const timer = seconds === undefined ? undefined : setTimeout(end, seconds * 1000);
    const subject = { describeRule, deviceOf: deviceNames() };
    context.note(`listening to ${name}; ^C stops it`);
    let shown = 0;
    const events = monitor({
      ...{ pins, tap, before, subject, signal: stop.signal },
      readTenants: () => namedTenants({ pins, tenants: readTenants(pins) }, tenants),
      askDaemon: async () => {
        const state = await findDaemon(context.configFile, name);
        return state.state === "answers" ? state.report : undefined;
      },
    });
    try {
      for await (const told of events) {
        const event = filter(told.event);
        if (!event) continue;
        if (shown >= (count ?? Infinity) && event.kind !== "left_out") continue;
        capture?.add(told);
        if (context.json) context.printJson(event);
        else for (const line of eventLines(event, context.columns === undefined)) context.print(line);
        if (event.kind !== "left_out" && ++shown >= (count ?? Infinity)) end();
      }
    } finally {
      clearTimeout(timer);
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.removeListener(signal, end);
    }
    context.note(`${shown} events${capture ? `, ${capture.packets} packets in ${capture.path}` : ""}`);
  },
});

function checkPositive(name: string, value: number | undefined): void {
  if (value === undefined || value > 0) return;
  throw new UsageError(`${name} ${value} cannot be`, { remedy: "use a number above 0" });
}
