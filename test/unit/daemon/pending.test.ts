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

  it("of some tenants is of all of them together, and of all their elements", async () => {
    const pending = new Pending();
    const elements = (set: string, key: string) => new Map([[set, new Set([key])]]);
    pending.check("route", { tenants: new Set([1]), elements: new Map() });
    pending.check("nft element", { tenants: new Set([7]), elements: elements("dnat_to", "7 . 2.2.2.11") });
    pending.check("nft element", { tenants: new Set([7]), elements: elements("dnat_to", "7 . 2.2.2.12") });
    pending.check("nft element", { tenants: new Set([8]), elements: elements("zones", "xgre8") });
    expect((await pending.next(going))?.scope).toEqual({
      tenants: new Set([1, 7, 8]),
      elements: new Map([
        ["dnat_to", new Set(["7 . 2.2.2.11", "7 . 2.2.2.12"])],
        ["zones", new Set(["xgre8"])],
      ]),
    });
  });

  it("of some tenants and of who knows what is of everything", async () => {
    const pending = new Pending();
    pending.check("route", { tenants: new Set([1]), elements: new Map() });
    pending.check("nft table");
    expect((await pending.next(going))?.scope).toBeUndefined();
  });

  it("of everything does not make the next of everything, too", async () => {
    const pending = new Pending();
    pending.check("nft table");
    await pending.next(going);
    pending.check("route", { tenants: new Set([1]), elements: new Map() });
    expect((await pending.next(going))?.scope?.tenants).toEqual(new Set([1]));
  });

  it("that an own change leads to comes later, and is of what the change was of", async () => {
    const pending = new Pending();
    await pending.causedBy(async () => pending.check("route", { tenants: new Set([1]), elements: new Map() }));
    const work = await pending.next(going);
    expect([work?.checks, work?.scope?.tenants]).toEqual([["route"], new Set([1])]);
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
