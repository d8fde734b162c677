/** The live table: keys, ticks and resizes in, screens out. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Pins } from "../../datapath/pins.js";
import type { Top } from "../../flow/schema.js";
import type { Named } from "../../top/sample.js";
import type { TopTable } from "../../top/schema.js";
import { ranked, screenLines } from "./screen.js";
import { FlowsSource, TenantsSource } from "./source.js";
import { flowsBy, keysIn, pressed, type State } from "./state.js";
import { Terminal } from "./terminal.js";

export interface LiveOptions {
  readonly pins: Pins;
  readonly tenants: readonly Named[];
  readonly first: State;
  readonly intervalSeconds: number;
  readonly outputClosed: AbortSignal;
}

/** Rows of flows that are ranked: more than a screen has. */
const flowsMax = 200;

/** Returns when whoever looks has had enough. @throws UsageError where there is no terminal */
export async function runLive({ pins, tenants, first, intervalSeconds, outputClosed }: LiveOptions): Promise<void> {
  let [state, table, flows]: [State, TopTable | undefined, Top | undefined] = [first, undefined, undefined];
  let source: FlowsSource | undefined;
  let wake = new AbortController();
  const draw = () => terminal.draw(screenLines(state, table, flows, terminal.size));
  const become = (next: State) => {
    const before = state;
    state = next;
    const isOther = next.view !== before.view || (next.view === "flows" && flowsBy(next.sort) !== flowsBy(before.sort));
    if (isOther) flows = undefined;
    if (next.isDone || isOther || next.isPaused !== before.isPaused) wake.abort();
    if (!next.isDone) draw(); // a terminal that has gone answers each try with an error
  };
  const names = () => ranked(table?.tenants ?? [], state).map(({ name }) => name);
  const end = () => become({ ...state, isDone: true });
  using terminal = Terminal.open({
    onKeys: (text) => {
      for (const key of keysIn(text)) if (!state.isDone) become(pressed(state, key, names()));
    },
    onResize: draw,
    onEnd: end,
  });
  outputClosed.addEventListener("abort", end);
  const all = new TenantsSource(pins, tenants);
  try {
    draw();
    while (!state.isDone) {
      const by = flowsBy(state.sort);
      if (!source?.isOf(state.tenant, by)) [source, flows] = [closed(source), undefined];
      if (state.view === "flows") source ??= new FlowsSource(pins, tenants, state.tenant ?? "", by, flowsMax);
      if (!state.isPaused) {
        if (source) flows = source.look() ?? flows;
        else table = (await all.look()) ?? table;
        draw();
      }
      wake = new AbortController();
      if (!state.isDone) await sleep(1000 * intervalSeconds, undefined, { signal: wake.signal }).catch(() => undefined);
    }
  } finally {
    closed(source);
    outputClosed.removeEventListener("abort", end);
  }
}

function closed(source: FlowsSource | undefined): undefined {
  source?.[Symbol.dispose]();
}
