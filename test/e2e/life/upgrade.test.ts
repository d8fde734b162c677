// From a version whose programs do not mark what the uplink hands over, and whose rules do not ask for the mark.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Host } from "../../../vm/lab/host.js";
import { exampleFile } from "../../../vm/lab/lab.js";
import { buildTopology, type Topology } from "../../../vm/lab/topology.js";
import { Workers } from "../../../vm/lab/workers.js";
import { built } from "../../../vm/root.js";

let folder: string;
let configFile: string;
let topology: Topology;
let client: Host;
let user1: Host;
let versions: { readonly older: Workers; readonly newer: Workers };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "xgw-upgrade-"));
  configFile = join(folder, "xgw.yaml");
  const text = await readFile(exampleFile("plain-uplink.yaml"), "utf8");
  await writeFile(configFile, text.replace("instance: gw1\n", "instance: gw1\nflows: 4096\n"));
  const uplink = { nic: "eth1", tags: [{ id: 100 }] };
  topology = await buildTopology(`xgw${process.pid}`, { tunnels: ["gretap", "gre"], uplink });
  const { hosts } = topology;
  [client, user1] = [new Host(hosts.client), new Host(hosts.user1)];
  versions = {
    older: new Workers(hosts.gateway, built("other/lab/worker.js")),
    newer: new Workers(hosts.gateway, built("lab/worker.js")),
  };
}, 300_000);

afterAll(async () => {
  await versions?.newer.carryOut({ do: "teardown", configFile });
  for (const each of [client, user1, versions?.older, versions?.newer]) await each?.stop();
  await topology?.destroy();
  await rm(folder, { recursive: true });
}, 300_000);

it("loses nothing of what comes in by the uplink", { timeout: 1_500_000 }, async () => {
  const { older, newer } = versions;
  const to = { host: "2.2.2.11", port: 5000, localPort: 42_000, intervalMs: 10, bytes: 200 };
  await older.carryOut({ do: "apply", configFile });
  await user1.serveUdp(to.port);
  await client.streamUdp({ ...to, count: 10 }); // the hosts know each other now
  const streaming = client.streamUdp({ ...to, count: 10_000_000 });
  const done = await newer.carryOut({ do: "apply", configFile });
  client.stopStream();
  const { sent, received, missing } = await streaming;
  const steps = done === "killed" ? [] : done.steps;
  expect(steps.filter((step) => /~ nft rules|~ attach xgw_uplink/.test(step)).length, steps.join("; ")).toBe(2);
  expect({ received, missing }, `of ${sent} datagrams`).toEqual({ received: sent, missing: [] });
  expect(sent).toBeGreaterThan(100);
});
