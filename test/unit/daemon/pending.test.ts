// What comes in while the daemon is busy is gathered; what cannot wait goes first; nobody keeps others from their turn.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pending, type PutOff, type Work } from "../../../src/daemon/pending.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const going = () => new AbortController().signal;
const tenantsMax = 64;
const nothing = new Map();
const of = (...tenants: number[]) => ({ tenants: new Set(tenants), elements: nothing });
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The next piece of work, of that kind. */
async function next<K extends Work["kind"]>(pending: Pending, kind: K): Promise<Work & { kind: K }> {
  const coming = pending.next(going());
  await vi.advanceTimersByTimeAsync(10_000);
  const work = await coming;
  expect(work?.kind).toBe(kind);
  return work as Work & { kind: K };
}

describe("pending work", () => {
  it("is gathered, each cause once", async () => {
    const pending = new Pending({ tenantsMax });
    for (const cause of ["route", "route", "device xgre1"]) pending.check(cause);
    expect((await next(pending, "check")).why).toEqual(["route", "device xgre1"]);
  });

  it("does not forget a SIGHUP for a change of the config that comes after it", async () => {
    const pending = new Pending({ tenantsMax });
    for (const why of ["config changed", "SIGHUP", "config changed"]) pending.reload(why);
    expect((await next(pending, "reload")).why).toBe("SIGHUP");
  });

  it("includes what comes in quick succession", async () => {
    const pending = new Pending({ tenantsMax });
    pending.check("route");
    setTimeout(() => pending.check("address eth0"), 20);
    expect((await next(pending, "check")).why).toEqual(["route", "address eth0"]);
  });

  it("of some tenants is of all of them together, and of all their elements", async () => {
    const pending = new Pending({ tenantsMax });
    const elements = (set: string, key: string) => new Map([[set, new Set([key])]]);
    pending.check("route", of(1));
    pending.check("nft element", { tenants: new Set([7]), elements: elements("dnat_to", "7 . 2.2.2.11") });
    pending.check("nft element", { tenants: new Set([7]), elements: elements("dnat_to", "7 . 2.2.2.12") });
    pending.check("nft element", { tenants: new Set([8]), elements: elements("zones", "xgre8") });
    expect((await next(pending, "check")).scope).toEqual({
      tenants: new Set([1, 7, 8]),
      elements: new Map([
        ["dnat_to", new Set(["7 . 2.2.2.11", "7 . 2.2.2.12"])],
        ["zones", new Set(["xgre8"])],
      ]),
    });
  });

  it("of some tenants and of who knows what is of everything", async () => {
    const pending = new Pending({ tenantsMax });
    pending.check("route", of(1));
    pending.check("nft table");
    expect((await next(pending, "check")).scope).toBeUndefined();
  });

  it("of very many tenants is of everything", async () => {
    const pending = new Pending({ tenantsMax: 2 });
    for (const tenant of [1, 2, 3]) pending.check("route", of(tenant));
    expect((await next(pending, "check")).scope).toBeUndefined();
  });

  it("of everything does not make the next of everything, too", async () => {
    const pending = new Pending({ tenantsMax });
    pending.check("nft table");
    await next(pending, "check");
    pending.check("route", of(1));
    expect((await next(pending, "check")).scope?.tenants).toEqual(new Set([1]));
  });

  it("that an own change leads to comes later, and is of what the change was of", async () => {
    const pending = new Pending({ tenantsMax });
    await pending.causedBy(async () => pending.check("route", of(1)));
    const { why, scope } = await next(pending, "check");
    expect([why, scope?.tenants]).toEqual([["route"], new Set([1])]);
  });

  it("is waited for", async () => {
    const pending = new Pending({ tenantsMax });
    setTimeout(() => pending.reload("config changed"), 20);
    expect((await next(pending, "reload")).why).toBe("config changed");
  });

  it("of a config that is loaded again knows when something else may differ as well", async () => {
    const pending = new Pending({ tenantsMax });
    pending.reload("config changed");
    pending.check("route");
    expect((await next(pending, "reload")).isDoubtful).toBe(true);
  });

  it("flows to be decided anew go first, and the rest comes after them", async () => {
    const pending = new Pending({ tenantsMax });
    pending.check("route");
    pending.redecide(1, [1, 2], "neighbour");
    const first = await next(pending, "redecide");
    const second = await next(pending, "check");
    expect([first.tenants, first.why, second.why]).toEqual([[1, 2], ["neighbour"], ["route"]]);
  });

  it("ends when stopped, even while it is waited for", async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 20);
    const coming = new Pending({ tenantsMax }).next(stop.signal);
    await vi.advanceTimersByTimeAsync(20);
    expect(await coming).toBeUndefined();
  });
});

describe("a config that could not be put in force", () => {
  const laterMs = 5000;

  it("is loaded again after a while", async () => {
    const pending = new Pending({ tenantsMax });
    pending.reloadLater("tried again", laterMs);
    expect((await next(pending, "reload")).why).toBe("tried again");
  });

  it("is not, when another was loaded meanwhile", async () => {
    const pending = new Pending({ tenantsMax });
    pending.reloadLater("tried again", laterMs);
    pending.reload("config changed");
    await next(pending, "reload");
    const loaded = vi.fn();
    void pending.next(going()).then(loaded);
    await vi.advanceTimersByTimeAsync(2 * laterMs);
    expect(loaded).not.toHaveBeenCalled();
  });
});

/** How long pieces of work take, milliseconds. */
type Costs = Readonly<Record<Work["kind"], number>>;
const costs: Costs = { redecide: 25, reload: 50, check: 80, reclaim: 200 };

interface Done {
  readonly work: Work;
  /** When it was begun, as `performance.now()`. */
  readonly atMs: number;
}

/** A daemon that takes that long for each piece of work; what it has done grows. */
function daemon(pending: Pending, cost: Costs = costs): Done[] {
  const done: Done[] = [];
  const run = async () => {
    for (let work = await pending.next(going()); work; work = await pending.next(going())) {
      done.push({ work, atMs: performance.now() });
      const tookMs = cost[work.kind];
      await sleep(tookMs);
      if (work.kind === "redecide") pending.redecided(tookMs);
      if (work.kind === "reclaim") pending.reclaimed(tookMs);
      if (work.kind === "check" && !work.scope) pending.comparedEverything(tookMs);
    }
  };
  void run();
  return done;
}

/** Calls it every so often, for so long. */
async function keepCalling(act: (time: number) => void, everyMs: number, forMs: number): Promise<void> {
  for (let time = 0; time * everyMs < forMs; time++) {
    act(time);
    await vi.advanceTimersByTimeAsync(everyMs);
  }
}

const hostile = 1;
const victim = 2;

it("a tenant's flows are decided anew every 10 ms at most, whoever causes it and however little it takes", async () => {
  const pending = new Pending({ tenantsMax });
  const done = daemon(pending, { ...costs, redecide: 0 });
  await keepCalling((time) => pending.redecide(`route ${time}`, [victim], "route"), 1, 1000);
  const times = done.filter(({ work }) => work.kind === "redecide").map(({ atMs }) => atMs);
  const gaps = times.slice(1).map((atMs, n) => atMs - (times[n] ?? 0));
  expect(gaps.length).toBeGreaterThan(50);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(10);
});

describe("with one tenant whose hosts change their addresses every 5 ms, for 5 s", () => {
  let putOff: PutOff[];
  let done: Done[];
  let pending: Pending;
  let startedMs: number;

  /** @param at what happens after 2.5 s */
  const story = async (at: () => void = () => {}) => {
    putOff = [];
    pending = new Pending({ tenantsMax, onPutOff: (one) => putOff.push(one) });
    done = daemon(pending);
    startedMs = performance.now() + 2500;
    setTimeout(at, 2500);
    await keepCalling((time) => pending.redecide(hostile, [hostile], `neighbour 10.0.${time}`), 5, 5000);
  };
  const waited = (isMeant: (work: Work) => boolean) =>
    (done.find(({ work }) => isMeant(work))?.atMs ?? Number.POSITIVE_INFINITY) - startedMs;
  const redecisionsOf = (tenant: number) =>
    done.filter(({ work }) => work.kind === "redecide" && work.tenants.includes(tenant));

  it("an edit is under way at once", async () => {
    await story(() => pending.reload("config changed"));
    expect(waited(({ kind }) => kind === "reload")).toBeLessThan(300);
  });

  it("a repair is under way at once", async () => {
    await story(() => pending.check("route", of(victim)));
    expect(waited(({ kind }) => kind === "check")).toBeLessThan(400);
  });

  it("another tenant's flows are decided anew at once", async () => {
    await story(() => pending.redecide(victim, [victim], "neighbour"));
    expect(waited((work) => work.kind === "redecide" && work.tenants.includes(victim))).toBeLessThan(300);
  });

  it("its own flows are decided anew at once the first time", async () => {
    await story();
    expect((redecisionsOf(hostile)[0]?.atMs ?? 0) - startedMs).toBeLessThan(-2400);
  });

  it("its own flows are decided anew a few times in all, and what waited is counted", async () => {
    await story();
    expect([redecisionsOf(hostile).length, putOff.length]).toEqual([7, 3]);
    expect(putOff).toEqual(putOff.map(() => ({ what: "redecision", tenant: hostile })));
  });

  it("what it did last is decided anew, too", async () => {
    await story();
    const before = redecisionsOf(hostile).length;
    await vi.advanceTimersByTimeAsync(2000);
    expect(redecisionsOf(hostile).length).toBe(before + 1);
  });

  it("the log names a few of its hosts only", async () => {
    await story();
    const named = redecisionsOf(hostile).map(({ work }) => (work.kind === "redecide" ? work.why.length : 0));
    expect(Math.max(...named)).toBe(4);
  });

  it("templates are looked through once in a while only", async () => {
    await story();
    expect(done.filter(({ work }) => work.kind === "reclaim").length).toBe(1);
  });

  it("once it rests, its flows are decided anew at once again", async () => {
    await story();
    await vi.advanceTimersByTimeAsync(20_000);
    startedMs = performance.now();
    done.length = 0;
    pending.redecide(hostile, [hostile], "neighbour");
    await vi.advanceTimersByTimeAsync(1000);
    expect(waited(({ kind }) => kind === "redecide")).toBe(0);
  });
});

it("a thousand tenants that never rest leave most of the daemon's time to others", async () => {
  const pending = new Pending({ tenantsMax });
  const done = daemon(pending);
  const all = Array.from({ length: 1000 }, (_, tenant) => tenant);
  await keepCalling(() => all.forEach((tenant) => void pending.redecide(tenant, [tenant], "neighbour")), 50, 5000);
  const busyMs = done.filter(({ work }) => work.kind === "redecide").length * costs.redecide;
  expect(busyMs / 5000).toBeLessThan(0.21);
});

it("flows wait for one piece of other work at most, though there is more", async () => {
  const pending = new Pending({ tenantsMax });
  const done = daemon(pending);
  await keepCalling(
    (time) => {
      pending.reload("config changed");
      pending.check("nft table");
      if (time % 100 === 0) pending.redecide(time, [victim], "neighbour");
    },
    5,
    5000,
  );
  const kinds = done.map(({ work }) => work.kind);
  const others = kinds.flatMap((kind, at) => (kind === "redecide" ? [done[at]] : []));
  expect(others.map((one) => one && one.work.kind === "redecide" && one.atMs - one.work.sinceMs)).toEqual(
    others.map(() => expect.toSatisfy((waitedMs: number) => waitedMs <= costs.check)),
  );
  expect(others.length).toBe(10);
});

it("edits without end do not keep repairs from their turn", async () => {
  const pending = new Pending({ tenantsMax });
  const done = daemon(pending);
  pending.check("route", of(victim));
  await keepCalling(() => pending.reload("config changed"), 5, 1000);
  expect(done.findIndex(({ work }) => work.kind === "check")).toBeLessThan(5);
});

describe("with a tenant of which something is changed every 5 ms, for 5 s", () => {
  const story = async (at: (pending: Pending) => void = () => {}) => {
    const pending = new Pending({ tenantsMax });
    const done = daemon(pending);
    setTimeout(() => at(pending), 2500);
    await keepCalling(() => pending.check("device xgre1", of(hostile)), 5, 5000);
    return done;
  };

  it("it is looked at at a steady rate after a few times", async () => {
    const looks = await story();
    expect(looks.length).toBeLessThanOrEqual(20);
    expect(looks.length).toBeGreaterThanOrEqual(15);
  });

  it("another's repair is under way at once", async () => {
    const done = await story((pending) => pending.check("route", of(victim)));
    const repair = done.find(({ work }) => work.kind === "check" && work.scope?.tenants.has(victim));
    const { work, atMs } = repair as Done;
    expect(atMs - (work as Work & { kind: "check" }).sinceMs).toBeLessThan(200);
  });
});

describe("with something of everybody's that is changed every 5 ms, where a comparison takes 3 s, for 30 s", () => {
  const slow = { ...costs, check: 3000 };
  const story = async (at: (pending: Pending) => void = () => {}) => {
    const pending = new Pending({ tenantsMax });
    const done = daemon(pending, slow);
    setTimeout(() => at(pending), 15_500);
    await keepCalling(() => pending.check("route"), 5, 30_000);
    return done;
  };

  it("comparing takes about half of the time", async () => {
    expect((await story()).length).toBeLessThanOrEqual(6);
  });

  it("an edit waits for one comparison at most", async () => {
    const done = await story((pending) => pending.reload("config changed"));
    const at = done.findIndex(({ work }) => work.kind === "reload");
    expect((done[at]?.atMs ?? 0) - (done[0]?.atMs ?? 0)).toBeLessThan(15_500 + slow.check);
  });
});
