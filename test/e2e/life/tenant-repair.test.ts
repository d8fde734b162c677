// A look at one tenant finds the same as a look at everything, and puts it right.
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";
import type { Work } from "../../../vm/lab/worker.js";
import { Workers } from "../../../vm/lab/workers.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const table = "ip xgw_gw1";

let gateway: Namespace;
let folder: string;
let workers: Workers;

beforeAll(async () => {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  folder = mkdtempSync(join(tmpdir(), "xgw-repair-"));
  copyFileSync(join(root, "examples/two-tenants.yaml"), join(folder, "xgw.yaml"));
  gateway = await Namespace.create(`xgw${process.pid}-repair`);
  await gateway.ip("link add eth0 type veth peer name wire", "addr add 172.168.0.1/24 dev eth0");
  await gateway.ip("link set eth0 up", "link set wire up");
  workers = new Workers(gateway, join(root, "dist/lab/worker.js"));
  await stepsOf("apply");
});
afterAll(async () => {
  await stepsOf("teardown");
  await workers.stop();
  await gateway.delete();
  rmSync(folder, { recursive: true });
});

async function stepsOf(what: Work["do"], scope: Pick<Work, "tenants" | "sets"> = {}): Promise<readonly string[]> {
  const done = await workers.carryOut({ do: what, configFile: join(folder, "xgw.yaml"), ...scope });
  if (done === "killed") throw new Error(`${what} was killed`);
  return done.steps;
}

const damages: readonly (readonly [what: string, set: string | undefined, ip: string, nft: string])[] = [
  ["a route that is gone", undefined, "route del 10.0.0.7/32 table 100001", ""],
  ["a route too many", undefined, "route add 10.5.0.0/16 dev xgre1000 table 100001 proto 201", ""],
  ["an address that is gone", undefined, "addr del 10.0.0.1/24 dev xgre1000", ""],
  ["an address too many", undefined, "addr add 10.6.0.1/24 dev xgre1000", ""],
  ["a tunnel that is down", undefined, "link set xgre1000 down", ""],
  ["a tunnel of another MTU", undefined, "link set xgre1000 mtu 1300", ""],
  ["a tunnel outside its VRF", undefined, "link set xgre1000 nomaster", ""],
  ["a tunnel that is gone", undefined, "link del xgre1000", ""],
  ["a VRF that is gone", undefined, "link del xvrf1000", ""],
  ["an element that is gone", "dnat_to", "", `delete element ${table} dnat_to { 1 . 2.2.2.11 }`],
  ["an element too many", "snat_to", "", `add element ${table} snat_to { 1 . 10.0.0.9 : 2.2.2.99 }`],
  ["a zone that is gone", "zones", "", `delete element ${table} zones { "xgre1000" }`],
  ["a policy's cell that is gone", "inbound", "", `flush map ${table} inbound0`],
];

describe("a look at one tenant finds, as one at everything does,", () => {
  for (const [what, set, ip, nft] of damages)
    it(what, async () => {
      if (ip !== "") await gateway.ip(ip);
      if (nft !== "") await gateway.run("nft", nft);
      // What is flushed is both tenants'.
      const tenants = nft.startsWith("flush") ? [1, 2] : [1];
      const all = await stepsOf("plan");
      const found = await stepsOf("repair", { tenants, ...(set === undefined ? {} : { sets: [set] }) });
      const afterwards = await stepsOf("plan");
      expect({ found: found.slice(0, all.length), afterwards }).toEqual({ found: all, afterwards: [] });
      expect(all.length, "steps").toBeGreaterThan(0);
    });
});

describe("a look at one tenant leaves to one at everything", () => {
  it("a tenant that there is not", async () => {
    expect(await stepsOf("repair", { tenants: [1, 9] })).toEqual(["compare everything"]);
  });

  it("a set that is gone", async () => {
    await gateway.run("nft", `delete table ${table}`);
    expect(await stepsOf("repair", { tenants: [1], sets: ["dnat_to"] })).toEqual(["compare everything"]);
    await stepsOf("apply");
  });

  it("somebody else's device of the tunnel's name", async () => {
    await gateway.ip("link del xgre1000", "link add xgre1000 type dummy");
    expect(await stepsOf("repair", { tenants: [1] })).toEqual(["compare everything"]);
    await gateway.ip("link del xgre1000");
    await stepsOf("apply");
  });
});

it("a look at one tenant that has nothing amiss finds nothing", async () => {
  const sets = [
    "zones",
    "dnat_to",
    "forward_to",
    "forward_range",
    "snat_to",
    "shared_to",
    "segment",
    "inbound",
    "outbound",
  ];
  expect(await stepsOf("repair", { tenants: [1], sets })).toEqual([]);
});
