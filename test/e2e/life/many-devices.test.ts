// What only shows with many tenants: the kernel takes so many flowtable devices in one request, and not one more.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { nftScript } from "../../../src/kernel/slow-path.js";
import type { Step } from "../../../src/plan/steps.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";

const devices = Array.from({ length: 600 }, (_, n) => `tunnel${n}`);
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

it(`a flowtable with ${devices.length} devices is made in one transaction, and has them all`, async () => {
  const steps: Step[] = [
    { kind: "rules.set", was: "" },
    ...devices.map((device): Step => ({ kind: "flowtable.add", device })),
  ];
  writeFileSync(join(folder, "rules"), nftScript("gw1", steps));
  await gateway.run("nft", "-f", join(folder, "rules"));
  const listed = await gateway.run("nft", "-j", "list", "flowtables");
  expect(listed.match(/"tunnel\d+"/g)).toHaveLength(devices.length);
});
