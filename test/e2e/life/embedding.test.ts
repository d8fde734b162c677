// The library in a program of its own: applies, sees that it is in step, follows another config, removes everything.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Namespace, type Output, tryRun } from "../../../vm/lab/netns.js";
import { snapshot } from "../../../vm/lab/snapshot.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const passProgram = join(root, "dist/bpf/test-pass.bpf.o");

const program = `
import { Gateway } from "xgw";
const config = (...ports) => ({
  apiVersion: "xgw/v1",
  instance: "embedded",
  underlay: { device: "eth0", address: "172.168.0.1" },
  tenants: [{
    name: "one",
    key: 7,
    routes: [{ to: "10.0.0.7/32", via: "172.168.0.11" }],
    publicIps: [{ address: "2.2.2.11", to: "10.0.0.7" }],
    policy: { inbound: [{ allow: "tcp", ports }] },
  }],
});
const gateway = new Gateway(config(22));
const planned = (await gateway.plan()).steps.length;
const applied = (await gateway.apply()).steps.length;
const { inStep, tenants } = await gateway.status();
const stop = new AbortController();
const told = [];
gateway.on("reconciled", ({ reason, steps }) => {
  told.push(reason + ": " + steps.map(({ kind }) => kind).join(" "));
  if (reason === "start") setTimeout(() => gateway.replace(config(22, 80)), 100);
  else stop.abort();
});
await gateway.run({ signal: stop.signal });
const afterwards = (await gateway.plan()).steps;
const { devices } = await gateway.teardown();
console.log(JSON.stringify({ same: planned === applied && planned > 0, inStep, tenants: tenants.length, told, afterwards, devices: devices.toSorted() }));
`;

let gateway: Namespace;
let folder: string;
let before: string;
let output: Output;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "xgw-embed-"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(
    join(folder, "main.mjs"),
    program.replace('"xgw"', JSON.stringify(join(root, "dist/xgw/lib/index.js"))),
  );
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  gateway = await Namespace.create(`xgw${process.pid}-embed`);
  await gateway.ip("link add eth0 type veth peer name wire", "addr add 172.168.0.1/24 dev eth0");
  // The first VRF brings a rule that stays when it goes.
  await gateway.ip("link set eth0 up", "link set wire up", "link add unrelated type vrf table 77");
  await gateway.run("ip", "link", "set", "dev", "wire", "xdp", "obj", passProgram, "sec", "xdp");
  before = await snapshot(gateway);
  output = await gateway.tryRun(process.execPath, join(folder, "main.mjs"));
});

afterAll(async () => {
  await gateway.delete();
  rmSync(folder, { recursive: true, force: true });
});

it("plans, applies, runs, follows another config by that tenant's steps alone, and is in step", () => {
  expect(output.stderr).toBe("");
  expect(JSON.parse(output.stdout)).toEqual({
    same: true,
    inStep: true,
    tenants: 1,
    told: ["start: ", "replaced: element.set entry.set entry.set entry.set entry.delete generation.bump"],
    afterwards: [],
    devices: ["xgre7", "xvrf7"],
  });
});

it("leaves nothing behind", async () => {
  expect(await snapshot(gateway)).toBe(before);
});
