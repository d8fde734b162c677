import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes, UsageError } from "../../errors.js";
import { type Context, defineCommand, defineGroup } from "../command.js";
import { openFlows } from "../flow-source.js";

/** Rows that are shown when nobody says how many: of a list some 60 lines. */
const defaultLimit = 20;

const instance = { type: "string", describe: "The instance, when its config is gone or broken" } as const;

const filters = {
  tenant: { type: "string", describe: "Of this tenant: name or GRE key" },
  net: { type: "string", describe: "With an end in this network or of this address, on either side of NAT" },
  port: { type: "number", describe: "With this port at either end, on either side of NAT" },
  protocol: { type: "string", describe: "tcp, udp, icmp or a number" },
  rule: { type: "string", describe: "Admitted by this rule: inbound:N, outbound:N (N from 0), or none" },
  idle: { type: "number", describe: "Without a packet for so many seconds at least" },
} as const;

const list = defineCommand({
  name: "list",
  summary: "List connections, with what carries them and what they have carried",
  isForViewers: true,
  description: `XDP's from the flow table, the others from conntrack. The first ${defaultLimit} are shown, those with the most bytes first. With -j: one JSON value a line, each a connection (docs/output/flow-list.schema.json).`,
  options: {
    ...filters,
    tier: {
      type: "string",
      choices: ["xdp", "flowtable", "stack"],
      describe: "Carried by this, in the slower direction",
    },
    sort: {
      type: "string",
      choices: ["bytes", "packets", "idle", "none"],
      default: "bytes",
      describe: "The greatest first; none: as they come, at once",
    },
    limit: { type: "number", default: defaultLimit, describe: "So many at most; 0 with --sort none: all" },
    instance,
  },
  examples: [
    ["xgw flow list --tenant user1 --net 8.8.8.0/24", "who speaks with these, whichever side began"],
    ["xgw flow list --tier stack --sort idle", "what is in no faster tier, idle ones first"],
    ["xgw flow list -j --sort none --limit 0 | wc -l", "all of them"],
  ],
  async handler({ instance, sort, limit, ...words }, context) {
    const { listFlows, sortedMax } = await import("../../flow/list.js");
    const { parseFilter } = await import("../../flow/filter.js");
    const { listedLines } = await import("../flow-lines.js");
    checkLimit(limit, sort === "none" ? Number.MAX_SAFE_INTEGER : sortedMax, sort === "none" ? 0 : 1);
    const { tenants, ...source } = await openFlows(instance, context);
    using view = source.view;
    const filter = parseFilter(words, tenants);
    const listing = listFlows({ view, tenants, filter, sort: sort as "bytes", limit });
    let shown = 0;
    let next = listing.next();
    for (; !next.done && !context.outputClosed.aborted; next = listing.next()) {
      if (context.json) context.printJson(next.value);
      else for (const line of listedLines(next.value)) context.print(line);
      shown++;
    }
    if (context.json) return;
    if (next.done && sort !== "none") context.note(`${shown} of ${next.value} connections, by ${sort}`);
    else context.note(`${shown} connections${shown === limit ? ": there may be more (--limit 0 shows all)" : ""}`);
  },
});

function checkLimit(limit: number, most: number, least = 1): void {
  if (Number.isInteger(limit) && limit >= least && limit <= most) return;
  const remedy =
    least === 0 ? "use a whole number, 0 for all" : `use a whole number from 1 to ${most}; --sort none takes any`;
  throw new UsageError(`--limit ${limit} cannot be`, { remedy });
}

const show = defineCommand({
  name: "show",
  summary: "Show one connection whole, and why it is not in a faster tier",
  isForViewers: true,
  description:
    "The connection is named by the two ends of a packet of it, in either direction, before or after NAT. Shows what conntrack, XDP and the flowtable have of it, the rule that admitted it with its place in the config, and of each direction what carries it and why nothing faster does. With -j: one JSON value a connection (docs/output/flow-show.schema.json).",
  positionalUsage: "<tenant> <source> <destination> <protocol>",
  positionals: {
    tenant: { type: "string", demandOption: true, describe: "Name or GRE key" },
    source: { type: "string", demandOption: true, describe: "ADDRESS:PORT" },
    destination: { type: "string", demandOption: true, describe: "ADDRESS:PORT" },
    protocol: { type: "string", demandOption: true, describe: "tcp or udp" },
  },
  options: { instance },
  examples: [["xgw flow show user1 10.0.0.7:4444 8.8.8.8:53 udp", "either direction, either side of NAT"]],
  async handler({ tenant, source, destination, protocol, instance }, context) {
    const { showFlows } = await import("../../flow/show.js");
    const { parseProtocol, parseTenant, parseTuple } = await import("../../flow/filter.js");
    const { shownLines } = await import("../flow-lines.js");
    const number = parseProtocol(protocol);
    if (number !== 6 && number !== 17)
      throw new UsageError(`a connection of ${protocol} has no two ends with ports`, { remedy: "use tcp or udp" });
    const tuple = parseTuple(source, destination);
    const { tenants, describeRule, ...flows } = await openFlows(instance, context);
    using view = flows.view;
    const shown = showFlows(view, { tenant: parseTenant(tenant, tenants), protocol: number, tuple }, describeRule);
    for (const one of shown) {
      if (context.json) context.printJson(one);
      else for (const line of shownLines(one)) context.print(line);
    }
    if (shown.length > 0) return exitCodes.done;
    context.note(`neither conntrack nor XDP knows such a connection of ${tenant}`);
    return exitCodes.failed;
  },
});

const intervals = { least: 0.5, most: 60 } as const;

const top = defineCommand({
  name: "top",
  summary: "Show which flows XDP carries most of at the moment",
  isForViewers: true,
  description:
    "Looks at the flow table's own counts twice, an interval apart. A flow is one direction of a connection. What the kernel carries is not in it (see status --rules). With -j: one JSON value a line, each an interval (docs/output/flow-top.schema.json).",
  options: {
    ...filters,
    by: { type: "string", choices: ["bytes", "packets"], default: "bytes", describe: "The greatest first" },
    interval: { type: "number", default: 2, describe: "Seconds between two looks, 0.5 to 60" },
    times: { type: "number", default: 1, describe: "How many intervals; 0: until it is stopped" },
    limit: { type: "number", default: defaultLimit, describe: "So many at most" },
    instance,
  },
  examples: [
    ["xgw flow top", "the top talkers of two seconds"],
    ["xgw flow top --by packets --times 0 --tenant user1", "one tenant's, for ever"],
  ],
  async handler({ instance, by, interval, times, limit, ...words }, context) {
    const { FlowTop } = await import("../../flow/top.js");
    const { lineTest, parseFilter } = await import("../../flow/filter.js");
    const { topLines } = await import("../flow-lines.js");
    checkLimit(limit, 10_000);
    if (!(interval >= intervals.least && interval <= intervals.most))
      throw new UsageError(`--interval ${interval} cannot be`, {
        remedy: `use seconds from ${intervals.least} to ${intervals.most}`,
      });
    const { tenants, ...source } = await openFlows(instance, context);
    using view = source.view;
    const isMeant = lineTest(parseFilter(words, tenants), view);
    const flows = new FlowTop(view, { by: by as "bytes", limit, tenants, isMeant });
    flows.look();
    for (let n = 0; times === 0 || n < times; n++) {
      await pause(interval, context);
      if (context.outputClosed.aborted) return;
      const report = flows.look();
      if (context.json) context.printJson(report);
      else for (const line of topLines(report)) context.print(line);
    }
  },
});

/** Until the time is over, or nobody reads any more. */
const pause = (seconds: number, { outputClosed }: Context): Promise<void> =>
  sleep(1000 * seconds, undefined, { signal: outputClosed }).catch(() => undefined);

const remove = defineCommand({
  name: "delete",
  summary: "Have flows decided anew: XDP forgets them, and the kernel looks at their next packets",
  description:
    "Takes the matching lines out of the flow table, under the locks of XDP's own programs. Connections go on: conntrack keeps them, and XDP learns them again. It needs a filter, and says how many lines went: there is one for each direction.",
  options: {
    ...filters,
    all: { type: "boolean", describe: "All of the instance's, without a filter" },
    wait: { type: "number", default: 10, describe: "Seconds to wait while another xgw changes this instance" },
    instance,
  },
  examples: [
    ["xgw flow delete --tenant user1", "all of a tenant's"],
    ["xgw flow delete --net 8.8.8.8 --port 53", "those of a far host"],
  ],
  async handler({ instance, all = false, wait, ...words }, context) {
    const { isEmpty, parseFilter } = await import("../../flow/filter.js");
    const { deleteFlows } = await import("../../flow/delete.js");
    const { withLock } = await import("../../lock.js");
    const { FlowView } = await import("../../datapath/flow-view.js");
    const { Pins } = await import("../../datapath/pins.js");
    const { tenants, instance: name, view } = await openFlows(instance, context);
    view.close();
    const filter = parseFilter(words, tenants);
    if (isEmpty(filter) !== all)
      throw new UsageError(all ? "--all and a filter are not for the same time" : "flow delete needs a filter", {
        remedy: all ? "leave one of them out" : "say whose with --tenant, --net, --port or others, or --all",
      });
    const lock = { instance: name, purpose: "flow delete", waitMs: 1000 * wait, isOwnOnly: true };
    const deleted = await withLock(lock, async () => {
      using table = new FlowView(new Pins(name)); // nothing moves to other maps now
      return deleteFlows(table, filter);
    });
    if (context.json) return context.printJson({ instance: name, ...deleted });
    context.print(`${deleted.deleted} of ${deleted.matched} matching lines deleted`);
  },
});

export const flow = defineGroup({
  name: "flow",
  summary: "Look at connections: list, show, top; delete has them decided anew",
  description: "No daemon is needed. What is looked at is what is in force, whatever the config says.",
  verbs: [list, show, top, remove],
});
