import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../../errors.js";
import { type Context, defineCommand } from "../command.js";
import { openFlows } from "../flow-source.js";
import { sorts } from "../top/state.js";

const intervals = { least: 0.5, most: 60 } as const;

export const top = defineCommand({
  name: "top",
  summary: "Watch tenants, or the flows of one: rates by tier, drops, sessions",
  readOnly: true,
  description:
    "A live table; the key h says what the keys do. What it reads are counters by tenant: the flow table is looked through for the flows of one tenant only. With --batch the tables are printed one after the other, with -j one JSON value a line, each an interval (docs/output/top.schema.json, of one tenant docs/output/flow-top.schema.json).",
  options: {
    tenant: { type: "string", describe: "The flows of this tenant: name or GRE key" },
    batch: { type: "boolean", alias: "b", describe: "Print tables, and need no terminal" },
    sort: { type: "string", choices: sorts, default: "bits", describe: "The greatest first" },
    interval: { type: "number", default: 2, describe: "Seconds between two looks, 0.5 to 60" },
    times: { type: "number", default: 1, describe: "With --batch or -j: how many intervals; 0: until it is stopped" },
    limit: { type: "number", default: 20, describe: "With --batch: so many rows at most" },
    instance: { type: "string", describe: "The instance, when its config is gone or broken" },
  },
  examples: [
    ["xgw top", "live, all tenants"],
    ["xgw top --tenant user1", "live, the flows of one"],
    ["xgw top -b --sort dropped", "one table, those who lose most first"],
    ["xgw top -j --times 0 | jq '.total.droppedPerSecond'", "for ever, for programs"],
  ],
  async handler({ tenant, batch = false, sort, interval, times, limit, instance }, context) {
    const { Pins } = await import("../../datapath/pins.js");
    const { parseTenant } = await import("../../flow/filter.js");
    const { firstState, flowsBy } = await import("../top/state.js");
    check(
      interval >= intervals.least && interval <= intervals.most,
      `--interval ${interval}`,
      "seconds from 0.5 to 60",
    );
    check(Number.isInteger(times) && times >= 0, `--times ${times}`, "a whole number, 0 for ever");
    check(Number.isInteger(limit) && limit >= 1 && limit <= 10_000, `--limit ${limit}`, "a whole number up to 10000");
    const { instance: name, tenants, view } = await openFlows(instance, context);
    view.close();
    const chosen = tenant === undefined ? undefined : parseTenant(tenant, tenants).name;
    const [pins, first] = [new Pins(name), firstState(chosen, sort as (typeof sorts)[number])];
    if (!batch && !context.json) {
      const { runLive } = await import("../top/live.js");
      const { outputClosed } = context;
      return await runLive({ pins, tenants, first, intervalSeconds: interval, outputClosed });
    }
    const { FlowsSource, TenantsSource } = await import("../top/source.js");
    const { batchLines } = await import("../top/screen.js");
    const { topLines } = await import("../flow-lines.js");
    if (chosen !== undefined) {
      using source = new FlowsSource(pins, tenants, chosen, flowsBy(first.sort), limit);
      await repeat(() => source.look(), topLines, { interval, times }, context);
    } else {
      const source = new TenantsSource(pins, tenants);
      await repeat(
        () => source.look(),
        (table) => batchLines(table, first, limit),
        { interval, times },
        context,
      );
    }
  },
});

function check(isGood: boolean, what: string, remedy: string): void {
  if (!isGood) throw new UsageError(`${what} cannot be`, { remedy: `use ${remedy}` });
}

/** A look, and after each interval another one, which is printed. */
async function repeat<T>(
  look: () => T | undefined | Promise<T | undefined>,
  lines: (report: T) => readonly string[],
  { interval, times }: { readonly interval: number; readonly times: number },
  context: Context,
): Promise<void> {
  await look();
  for (let n = 0; times === 0 || n < times; n++) {
    await sleep(1000 * interval, undefined, { signal: context.outputClosed }).catch(() => undefined);
    if (context.outputClosed.aborted) return;
    const report = await look();
    if (report === undefined) continue;
    if (context.json) context.printJson(report);
    else for (const line of lines(report)) context.print(line);
  }
}
