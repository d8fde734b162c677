// The daemon looks at the gateway's health, and says when it changes.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HealthWatch } from "../../../src/daemon/health-watch.js";
import { XgwError } from "../../../src/errors.js";
import type { InForce } from "../../../src/gateway.js";
import type { Observed } from "../../../src/health/snapshot.js";
import { counters, link, nicName, well } from "../health/fixture.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const inForce = {} as InForce;

function watching() {
  const said: { level: string; fields: { health: string; found: string[]; gone: string[] }; message: string }[] = [];
  const say = (level: string) => (fields: object, message: string) =>
    void said.push({ level, fields: fields as (typeof said)[number]["fields"], message });
  const seen: string[][] = [];
  const severities: string[] = [];
  let observed: Observed | Error = well;
  let looks = 0;
  const watch = new HealthWatch(inForce, {
    log: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") },
    onSeen(findings) {
      seen.push(findings.map(({ id }) => id));
      severities.push(...findings.map(({ severity }) => severity));
    },
    observe: () => {
      looks++;
      if (observed instanceof Error) throw observed;
      return observed;
    },
  });
  const look = (next: Observed | Error, afterMs = 60_000) => {
    observed = next;
    watch.follow(inForce);
    vi.advanceTimersByTime(afterMs);
  };
  return { watch, said, seen, severities, look, looks: () => looks };
}
const down = { ...well, links: [link(nicName, { isUp: false })] };
const unsent = (packets: number, atMs: number) => ({
  ...well,
  counters: { ...counters, atMs, unsent: new Map([[nicName, packets]]) },
});

it("says in one line what has come and what has gone, and nothing while that stays", () => {
  const { said, look } = watching();
  for (const next of [well, down, down, well]) look(next);
  expect(said).toEqual([
    {
      level: "warn",
      message: "health has changed",
      fields: {
        health: "1 critical",
        found: [expect.stringMatching(new RegExp(`^critical device_down \\(${nicName}\\): .*is down; ip link set`))],
        gone: [],
      },
    },
    {
      level: "info",
      message: "health has changed",
      fields: { health: "nothing found", found: [], gone: [`critical device_down (${nicName})`] },
    },
  ]);
});

it("does not say again what has other figures only", () => {
  const { said, look } = watching();
  for (const entries of [960, 970, 980]) look({ ...well, conntrack: { ...well.conntrack, entries } });
  expect(said).toHaveLength(1);
});

it("tells each time what there is", () => {
  const { seen, look } = watching();
  for (const next of [well, down]) look(next);
  expect(seen).toEqual([[], ["device_down"]]);
});

it("looks once at what happens together", () => {
  const { watch, looks } = watching();
  for (let n = 0; n < 10; n++) watch.lookSoon();
  vi.advanceTimersByTime(60_000);
  expect(looks()).toBe(1);
});

it("calls lost what was lost within a minute or two, also where looks follow one another closely", () => {
  const { severities, look } = watching();
  for (const [packets, atMs] of [
    [5, 0],
    [9, 60_000],
    [9, 61_000],
    [9, 121_000],
    [9, 182_000],
  ] as const)
    look(unsent(packets, atMs));
  expect(severities).toEqual(["note", "critical", "critical", "critical", "note"]);
});

it("says that what differs could not be put right", () => {
  const { watch, seen } = watching();
  watch.failed(new XgwError("busy"));
  vi.advanceTimersByTime(60_000);
  expect(seen).toEqual([["cannot_compare"]]);
});

it("goes on where one look fails, for devices come and go", () => {
  const { seen, said, look } = watching();
  look(new Error("no such device"));
  look(down);
  expect([seen, said.map(({ level }) => level)]).toEqual([[["device_down"]], ["debug", "warn"]]);
});
