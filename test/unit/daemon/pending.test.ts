// What comes in while the daemon is busy is gathered; what cannot wait goes first.
import { describe, expect, it } from "vitest";
import { Pending } from "../../../src/daemon/pending.js";

const going = new AbortController().signal;

describe("pending work", () => {
  it("is gathered, each cause once", async () => {
    const pending = new Pending();
    for (const cause of ["route", "route", "device xgre1"]) pending.check(cause);
    pending.reload("SIGHUP");
    expect(await pending.next(going)).toMatchObject({
      reload: "SIGHUP",
      checks: ["route", "device xgre1"],
      redecide: [],
    });
  });

  it("does not forget a SIGHUP for a change of the config that comes after it", async () => {
    const pending = new Pending();
    for (const why of ["config changed", "SIGHUP", "config changed"]) pending.reload(why);
    expect((await pending.next(going))?.reload).toBe("SIGHUP");
  });

  it("includes what comes in quick succession", async () => {
    const pending = new Pending();
    pending.check("route");
    setTimeout(() => pending.check("address eth0"), 20);
    expect((await pending.next(going))?.checks).toEqual(["route", "address eth0"]);
  });

  it("is waited for", async () => {
    const pending = new Pending();
    setTimeout(() => pending.reload("config changed"), 20);
    expect((await pending.next(going))?.reload).toBe("config changed");
  });

  it("flows to be decided anew go first, and the rest comes after them", async () => {
    const pending = new Pending();
    pending.check("route");
    pending.redecide([1, 2], "neighbour");
    const first = await pending.next(going);
    const second = await pending.next(going);
    expect([first?.redecide, first?.checks, second?.redecide, second?.checks]).toEqual([[1, 2], [], [], ["route"]]);
  });

  it("ends when stopped, even while it is waited for", async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 20);
    expect(await new Pending().next(stop.signal)).toBeUndefined();
  });
});
