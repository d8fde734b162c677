// An edit that meets a passing hindrance: it is the newest config that comes in force when the hindrance has gone.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Host } from "../../../vm/lab/host.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";
import { cable } from "../../../vm/lab/wire.js";
import { Xgw } from "../../../vm/lab/xgw.js";

const config = (ports: string) => `apiVersion: xgw/v1
instance: hindered
underlay: { device: eth0, address: 172.168.0.1 }
uplink: { device: eth1, gateway: 203.0.113.254 }
nics: [{ name: eth0 }, { name: eth1 }]
tenants:
  - name: user1
    key: 1000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.7/32, via: 172.168.0.11 }]
    publicIps: [{ address: 203.0.113.11, to: 10.0.0.7 }]
    policy: { inbound: [{ allow: tcp, ports: [${ports}] }] }
`;

let gateway: Namespace;
let far: Namespace;
let folder: string;
let xgw: Xgw;

/** How often the daemon's `ip` fails from now on. */
const refuse = (times: number) => writeFileSync(join(folder, "refusals"), `${times}`);

async function startDaemon(): Promise<void> {
  mkdirSync(join(folder, "bin"));
  const lines = [
    "#!/bin/sh",
    `left=$(cat ${folder}/refusals)`,
    `if [ "$left" -gt 0 ]; then echo $((left - 1)) > ${folder}/refusals; exit 1; fi`,
    `PATH=\${PATH#*:} exec ip "$@"`,
  ];
  writeFileSync(join(folder, "bin", "ip"), `${lines.join("\n")}\n`, { mode: 0o755 });
  refuse(0);
  const path = process.env.PATH;
  process.env.PATH = `${folder}/bin:${path}`;
  await xgw.startDaemon();
  process.env.PATH = path;
}

beforeAll(async () => {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  folder = mkdtempSync(join(tmpdir(), "xgw-hindered-"));
  gateway = await Namespace.create(`xgw${process.pid}-hindered`);
  far = await Namespace.create(`xgw${process.pid}-wires`);
  for (const nic of ["eth0", "eth1"]) await cable(gateway, nic, far, `far-${nic}`);
  await gateway.ip("addr add 172.168.0.1/24 dev eth0", "addr add 203.0.113.1/24 dev eth1");
  xgw = new Xgw(gateway, new Host(gateway), join(folder, "xgw.yaml"));
  writeFileSync(xgw.configFile, config("22"));
  await startDaemon();
});
afterAll(async () => {
  await xgw.stopDaemon("SIGTERM");
  await xgw.run("teardown");
  await xgw.endCommands();
  await gateway.delete();
  await far.delete();
  rmSync(folder, { recursive: true });
});

/** What the daemon logs after the act, until there is nothing to do any more for the config on disk. */
async function loggedUntilInForce(act: () => Promise<unknown>): Promise<string[]> {
  const from = xgw.daemonLog.length;
  await act();
  await xgw.logLine(/"msg":"reconciled"/, from, 90_000);
  const lines = xgw.daemonLog.slice(from).split("\n").filter(Boolean);
  return lines.map((line) => (JSON.parse(line) as { readonly msg: string }).msg);
}

it("an edit while the uplink is down is what is put in force once it is up, not what was there before", async () => {
  await xgw.settled();
  await gateway.ip("link set eth1 down");
  const from = xgw.daemonLog.length;
  await xgw.write(config("22, 23"));
  await xgw.logLine(/reconciliation failed/, from);
  const logged = await loggedUntilInForce(() => gateway.ip("link set eth1 up"));
  expect(logged.filter((msg) => msg === "drift repaired")).toEqual([]);
  expect((await xgw.run("plan")).stdout).toContain("nothing to do");
});

it("a strict reverse path filter for all devices is noticed at once: the gateway's devices are made loose, and it is said", async () => {
  await xgw.settled();
  const from = xgw.daemonLog.length;
  await gateway.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1");
  const repaired = await xgw.logLine(/drift repaired/, from);
  expect(repaired.noticed).toEqual(["settings"]);
  expect(repaired.repaired).toContain("~ sysctl net.ipv4.conf.xvrf1000.rp_filter = 2 (was 0)");
  await xgw.logLine(/all\.rp_filter is 1.*something is in the way/, from);
});

it("a repair that fails, with everything compared, looks again at once: what it has seen may be no more", async () => {
  await xgw.settled();
  const from = xgw.daemonLog.length;
  refuse(2); // the look at the tenant alone, and the first at everything
  await gateway.ip("link del xvrf1000");
  const { compared } = await xgw.logLine(/drift repaired/, from);
  expect(compared).toBe("everything");
  expect(xgw.daemonLog.slice(from)).not.toContain("repair failed");
});

it("forwarding of a tenant that is switched off is put right at once", async () => {
  await xgw.settled();
  const from = xgw.daemonLog.length;
  await gateway.run("sysctl", "-qw", "net.ipv4.conf.xvrf1000.forwarding=0");
  const { repaired } = await xgw.logLine(/drift repaired/, from, 20_000);
  expect(repaired).toContain("~ sysctl net.ipv4.conf.xvrf1000.forwarding = 1 (was 0)");
});
