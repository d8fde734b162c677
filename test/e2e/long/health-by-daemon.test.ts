// The daemon notices what keeps the gateway from working although nothing of xgw's has changed, and says when that is over.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Host } from "../../../vm/lab/host.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";
import { cable } from "../../../vm/lab/wire.js";
import { Xgw } from "../../../vm/lab/xgw.js";

const config = `apiVersion: xgw/v1
instance: healthy
underlay: { device: eth0, address: 172.168.0.1 }
nics: [{ name: eth0 }]
metrics: { listen: 127.0.0.1:9464 }
tenants:
  - name: user1
    key: 1000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.7/32, via: 172.168.0.11 }]
`;

let gateway: Namespace;
let far: Namespace;
let folder: string;
let xgw: Xgw;

beforeAll(async () => {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  folder = mkdtempSync(join(tmpdir(), "xgw-healthy-"));
  gateway = await Namespace.create(`xgw${process.pid}-healthy`);
  far = await Namespace.create(`xgw${process.pid}-wires`);
  await cable(gateway, "eth0", far, "far-eth0");
  await gateway.ip("addr add 172.168.0.1/24 dev eth0", "link set lo up");
  xgw = new Xgw(gateway, new Host(gateway), join(folder, "xgw.yaml"));
  writeFileSync(xgw.configFile, config);
  await xgw.startDaemon();
});
afterAll(async () => {
  await xgw.stopDaemon("SIGTERM");
  await xgw.run("teardown");
  await xgw.endCommands();
  await gateway.delete();
  await far.delete();
  rmSync(folder, { recursive: true });
});

/** What the daemon's next line about health says after the act. */
async function changed(act: () => Promise<unknown>, words: RegExp): Promise<Record<string, unknown>> {
  const from = xgw.daemonLog.length;
  await act();
  return xgw.logLine(words, from);
}

const scrape = () =>
  gateway.run(
    process.execPath,
    "-e",
    "fetch('http://127.0.0.1:9464/metrics').then((answer) => answer.text()).then((text) => process.stdout.write(text))",
  );

it("a NIC that is set down and up again is one line each, and counted", async () => {
  const down = await changed(() => gateway.ip("link set eth0 down"), /device_down \(eth0\).*health has changed/);
  expect(down.found).toEqual(expect.arrayContaining([expect.stringContaining("ip link set dev eth0 up")]));
  expect(await scrape()).toContain('xgw_health_findings{severity="critical",id="device_down"} 1');
  const up = await changed(
    () => gateway.ip("link set eth0 up"),
    /"gone":\[[^\]]*device_down \(eth0\).*health has changed/,
  );
  expect(up.gone).toContain("critical device_down (eth0)");
});

it("a chain of somebody else's that drops what is forwarded is noticed without a comparison", async () => {
  const table = "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }";
  await changed(() => gateway.run("nft", table), /foreign_drop \(ip filter FORWARD\).*health has changed/);
  await changed(() => gateway.run("nft", "delete", "table", "ip", "filter"), /"gone":\[[^\]]*foreign_drop/);
});

it("a daemon that is stopped in its tracks is there, says status, and does not answer", async () => {
  const { daemon } = JSON.parse((await xgw.run("status", "-j")).stdout) as {
    readonly daemon: { readonly pid: number };
  };
  process.kill(daemon.pid, "SIGSTOP");
  try {
    const [status, doctor] = [await xgw.run("status"), await xgw.run("doctor", "-j")];
    expect(status.stdout).toContain(`the daemon, process ${daemon.pid} (xgw run), is there, but does not answer`);
    expect(doctor.stdout).toContain('"id":"daemon_busy"');
  } finally {
    process.kill(daemon.pid, "SIGCONT");
  }
});
