// What only shows with many tenants: the kernel takes so many flowtable devices in one request, and not one more; and tells
// of no more in one table than fit a message.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inNetNamespace } from "libbpf-ts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readTable } from "../../../src/kernel/nftables.js";
import { nftScript } from "../../../src/kernel/slow-path.js";
import { typesOfSet } from "../../../src/plan/rules.js";
import { flowtableOf } from "../../../src/plan/shares.js";
import type { Step } from "../../../src/plan/steps.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";

/** By zone; names as long as they can be. */
const devices = Array.from({ length: 2500 }, (_, zone) => `xgre${String(zone).padStart(11, "0")}`);
let gateway: Namespace;
let folder: string;

beforeAll(async () => {
  for (const name of ["nf_flow_table", "nf_conntrack", "dummy"]) await tryRun("modprobe", ["-q", name]);
  gateway = await Namespace.create(`xgw${process.pid}-many`);
  folder = mkdtempSync(join(tmpdir(), "xgw-many-"));
  writeFileSync(join(folder, "links"), devices.map((name) => `link add ${name} type dummy\n`).join(""));
  await gateway.run("ip", "-batch", join(folder, "links"));
});
afterAll(async () => {
  await gateway.delete();
  rmSync(folder, { recursive: true });
});

it(`the flowtables of ${devices.length} devices are made in one transaction, and tell of them all`, async () => {
  const steps: Step[] = [
    { kind: "rules.set", was: "" },
    ...devices.map((device, zone): Step => ({ kind: "flowtable.add", flowtable: flowtableOf(zone), device })),
  ];
  writeFileSync(join(folder, "rules"), nftScript("gw1", steps));
  await gateway.run("nft", "-f", join(folder, "rules"));
  const table = inNetNamespace(`/run/netns/${gateway.name}`, () => readTable("xgw_gw1", typesOfSet));
  expect(table?.flowtableDevices).toEqual(new Map(devices.map((device, zone) => [device, flowtableOf(zone)])));
});
