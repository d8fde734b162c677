// Devices that come into a share of the nft table that is there already: nothing else of the share is written.
import { setTimeout as sleep } from "node:timers/promises";
import { inNetNamespace } from "libbpf-ts";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type KernelEvent, type KernelMonitor, monitorKernel } from "../../../src/kernel/monitor.js";
import { hasWholeShare, readFlowtable } from "../../../src/kernel/nftables.js";
import { nftScript, sealScript } from "../../../src/kernel/slow-path.js";
import type { Step } from "../../../src/plan/steps.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";

const table = "xgw_gw1";
let gateway: Namespace;

beforeEach(async () => {
  for (const name of ["nf_flow_table", "nf_conntrack", "dummy"]) await tryRun("modprobe", ["-q", name]);
  gateway = await Namespace.create(`xgw${process.pid}-shares`);
  await gateway.ip(...["xgre1", "xgre2", "xgre200"].map((name) => `link add ${name} type dummy`));
  await carryOut({ kind: "rules.set", was: "" }, add("xgre1", 0));
});
afterEach(() => gateway.delete());

const add = (device: string, share: number): Step => ({ kind: "flowtable.add", flowtable: `fastpath${share}`, device });

const inside = <T>(work: () => T extends PromiseLike<unknown> ? never : T): T =>
  inNetNamespace(`/run/netns/${gateway.name}`, work);

const isWhole = (share: number) => inside(() => hasWholeShare(table, share) as never);

async function carryOut(...steps: readonly Step[]): Promise<void> {
  await nft(inside(() => nftScript("gw1", steps, hasWholeShare) as never));
  const seal = inside(() => sealScript("gw1", steps) as never);
  if (seal !== "") await nft(seal);
}

const devicesOf = (share: number): string[] =>
  [...(inside(() => readFlowtable(table, `fastpath${share}`) as never) as string[])].sort();

const nft = (script: string) => gateway.run("nft", script);

/** What is told of the table meanwhile. */
async function heard(work: () => Promise<unknown>): Promise<KernelEvent[]> {
  const events: KernelEvent[] = [];
  const onGap = () => expect.fail("nothing may be lost");
  const monitor = inside(() => monitorKernel((event) => event.of === "nft" && events.push(event), onGap) as never);
  onTestFinished(() => (monitor as KernelMonitor).stop());
  await work();
  await sleep(500);
  return events;
}

it("of a device that comes into it only the device is written, and told", async () => {
  const events = await heard(() => carryOut(add("xgre2", 0)));
  expect(events).toEqual([{ of: "nft", what: "flowtable", table, devices: ["xgre2"] }]);
});

it("devices of a whole share are in its flowtable, those that were there before, too", async () => {
  await carryOut(add("xgre2", 0));
  expect(devicesOf(0)).toEqual(["xgre1", "xgre2"]);
});

it("one that there is not is made", async () => {
  const before = isWhole(1);
  await carryOut(add("xgre200", 1));
  expect([before, isWhole(1)]).toEqual([false, true]);
});

it("a device that is taken out of one can come into another", async () => {
  await carryOut(add("xgre2", 0));
  await carryOut({ kind: "flowtable.delete", flowtable: "fastpath0", device: "xgre1" });
  await gateway.ip("link del xgre1", "link add xgre1 type dummy");
  await carryOut(add("xgre1", 1));
  expect([devicesOf(0), devicesOf(1)]).toEqual([["xgre2"], ["xgre1"]]);
});

it("a device can go from one into another at once", async () => {
  await carryOut({ kind: "flowtable.delete", flowtable: "fastpath0", device: "xgre1" }, add("xgre1", 1));
  expect([devicesOf(0), devicesOf(1)]).toEqual([[], ["xgre1"]]);
});

const damages: readonly (readonly [what: string, script: string])[] = [
  ["whose chain has lost its rule", `flush chain ip ${table} to_inbound0`],
  ["whose rule is another one", `flush chain ip ${table} to_inbound0; add rule ip ${table} to_inbound0 accept`],
  ["whose chain has a rule too many", `add rule ip ${table} to_outbound0 accept`],
  ["that nothing leads to any more", `delete element ip ${table} fastpath_shares { 0 }`],
  ["whose map is not led to", `delete element ip ${table} shared_to_shares { 0 }`],
];

describe("a device that comes mends one", () => {
  for (const [what, script] of damages)
    it(what, async () => {
      await nft(script);
      const before = isWhole(0);
      await carryOut(add("xgre2", 0));
      expect([before, isWhole(0)]).toEqual([false, true]);
    });
});
