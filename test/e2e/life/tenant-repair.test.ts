// A look at one tenant finds the same as a look at everything, and puts it right.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BpfProgram, inNetNamespace, interfaceIndex } from "libbpf-ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Pins } from "../../../src/datapath/pins.js";
import { elementSets } from "../../../src/plan/rules.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";
import type { Work } from "../../../vm/lab/worker.js";
import { Workers } from "../../../vm/lab/workers.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const table = "ip xgw_gw1";

const third = `
  - name: third
    key: 3000
    tunnel: gre
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.7/32, via: 172.168.0.13 }]
`;

let gateway: Namespace;
let folder: string;
let workers: Workers;

beforeAll(async () => {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  folder = mkdtempSync(join(tmpdir(), "xgw-repair-"));
  writeFileSync(join(folder, "xgw.yaml"), readFileSync(join(root, "examples/two-tenants.yaml"), "utf8") + third);
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

async function stepsOf(what: Work["do"], scope: Pick<Work, "tenants" | "elements"> = {}): Promise<readonly string[]> {
  const done = await workers.carryOut({ do: what, configFile: join(folder, "xgw.yaml"), ...scope });
  if (done === "killed") throw new Error(`${what} was killed`);
  return done.steps;
}

/** Ids of the tenants, in the order of the config. */
const [user1, user2, gre] = [1, 2, 3] as const;

/** With the elements that notifications name. */
const damages: readonly (readonly [what: string, changed: Work["elements"], ip: string, nft: string])[] = [
  ["a route that is gone", undefined, "route del 10.0.0.7/32 table 100001", ""],
  ["a route too many", undefined, "route add 10.5.0.0/16 dev xgre1000 table 100001 proto 201", ""],
  ["an address that is gone", undefined, "addr del 10.0.0.1/24 dev xgre1000", ""],
  ["an address too many", undefined, "addr add 10.6.0.1/24 dev xgre1000", ""],
  ["a tunnel that is down", undefined, "link set xgre1000 down", ""],
  ["a tunnel of another MTU", undefined, "link set xgre1000 mtu 1300", ""],
  ["a tunnel outside its VRF", undefined, "link set xgre1000 nomaster", ""],
  ["a tunnel that is gone", undefined, "link del xgre1000", ""],
  ["a VRF that is gone", undefined, "link del xvrf1000", ""],
  ["a neighbour that is gone", undefined, "neigh del 172.168.0.13 dev xgre3000", ""],
  ["a gre tunnel that is gone", undefined, "link del xgre3000", ""],
  ["an element that is gone", { dnat_to: ["1 . 2.2.2.11"] }, "", `delete element ${table} dnat_to { 1 . 2.2.2.11 }`],
  [
    "an element too many",
    { snat_to: ["1 . 10.0.0.9"] },
    "",
    `add element ${table} snat_to { 1 . 10.0.0.9 : 2.2.2.99 }`,
  ],
  ["a zone that is gone", { zones: ["xgre1000"] }, "", `delete element ${table} zones { "xgre1000" }`],
  [
    "a tunnel that is in no flowtable",
    undefined,
    "",
    `delete flowtable ${table} fastpath0 { hook ingress priority filter; devices = { xgre1000 }; }`,
  ],
  ["a policy's cell that is gone", { inbound: [] }, "", `flush map ${table} inbound0`],
];

describe("a look at one tenant finds, as one at everything does,", () => {
  for (const [what, changed, ip, nft] of damages)
    it(what, async () => {
      if (ip !== "") await gateway.ip(ip);
      if (nft !== "") await gateway.run("nft", nft);
      const tenants = ip.includes("xgre3000") ? [gre] : nft.startsWith("flush") ? [user1, user2, gre] : [user1];
      const all = await stepsOf("plan");
      const found = await stepsOf("repair", { tenants, ...(changed && { elements: changed }) });
      const afterwards = await stepsOf("plan");
      expect({ found, afterwards }).toEqual({ found: all, afterwards: [] });
      expect(all.length, "steps").toBeGreaterThan(0);
    });
});

it("a look at one tenant finds a program on a tunnel of a kind that has none", async () => {
  const pins = new Pins("gw1");
  inNetNamespace(`/run/netns/${gateway.name}`, () => {
    using program = BpfProgram.openPinned(pins.program(pins.fingerprints()[0] as string, "xgw_arp"));
    using link = program.attachTcx({ ifindex: interfaceIndex("xgre3000"), direction: "egress" });
    link.pin(pins.link("arp_xgre3000"));
  });
  const found = await stepsOf("repair", { tenants: [gre] });
  expect([found, await stepsOf("plan")]).toEqual([["- attachment arp_xgre3000"], []]);
});

it("a look at one tenant leaves alone what is amiss with another", async () => {
  await gateway.ip("route del 10.0.0.7/32 table 100001", "route del 10.0.0.7/32 table 100002");
  const all = await stepsOf("plan");
  const found = await stepsOf("repair", { tenants: [user1] });
  const left = await stepsOf("plan");
  await stepsOf("apply");
  expect([...found, ...left].sort()).toEqual([...all].sort());
  expect(left.length, "steps of the other").toBe(all.length / 2);
});

describe("a look at one tenant leaves to one at everything", () => {
  it("a tenant that there is not", async () => {
    expect(await stepsOf("repair", { tenants: [user1, 9] })).toEqual(["compare everything"]);
  });

  it("a tenant whose last change did not come to its end", async () => {
    const odd = `map update pinned /sys/fs/bpf/xgw/gw1/maps/generations key ${user1} 0 0 0 value 77 0 0 0`;
    await gateway.run("bpftool", ...odd.split(" "));
    expect(await stepsOf("repair", { tenants: [user1] })).toEqual(["compare everything"]);
    await stepsOf("apply");
  });

  it("a set that is gone", async () => {
    await gateway.run("nft", `delete table ${table}`);
    expect(await stepsOf("repair", { tenants: [user1], elements: { dnat_to: [] } })).toEqual(["compare everything"]);
    await stepsOf("apply");
  });

  it("somebody else's device of the tunnel's name", async () => {
    await gateway.ip("link del xgre1000", "link add xgre1000 type dummy");
    expect(await stepsOf("repair", { tenants: [user1] })).toEqual(["compare everything"]);
    await gateway.ip("link del xgre1000");
    await stepsOf("apply");
  });
});

it("a look at one tenant that has nothing amiss finds nothing", async () => {
  expect(
    await stepsOf("repair", { tenants: [user1], elements: Object.fromEntries(elementSets.map((set) => [set, []])) }),
  ).toEqual([]);
});
