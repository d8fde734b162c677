/** What an operator sees of one tenant: devices, routes and NAT of a real kernel, beside the config's. */

import { setTimeout as sleep } from "node:timers/promises";
import { tenantListSchema, tenantReportSchema } from "../../../src/tenant/schema.js";
import type { Check } from "../check.js";

export const tenantSeen: Check = {
  id: "tenant",
  title: "`xgw tenant user1` and `xgw tenant` during a UDP stream",
  wanted:
    "devices are up; routes and NAT of the kernel are the config's; the stream is XDP's, and counts under its rule with its line",
  async run({ client, user1, xgw }) {
    const [port, localPort] = [5000, 40_012];
    await user1.serveUdp(port);
    const stream = client.streamUdp({ host: "2.2.2.11", port, localPort, bytes: 200, count: 100_000, intervalMs: 20 });
    await sleep(2000);
    const look = async () => tenantReportSchema.parse(JSON.parse((await xgw.run("tenant", "user1", "-j")).stdout));
    const before = await look();
    await sleep(2000);
    const after = await look();
    const all = tenantListSchema.parse(JSON.parse((await xgw.run("tenant", "-j")).stdout));
    client.stopStream();
    await stream;
    await user1.close(port);
    const up = after.devices.map(({ name, isUp }) => `${name} ${isUp ? "up" : "not up"}`).join(", ");
    const both = [...after.routes, ...after.nat.publicIps].map(
      ({ isInKernel, isInConfig }) => isInKernel && isInConfig,
    );
    const [ruleBefore, rule] = [before, after].map(({ policy }) => policy.inbound.rules[1]);
    const packets = (rule?.xdp.packets ?? 0) - (ruleBefore?.xdp.packets ?? 0);
    const sessions = after.limits.find(({ resource }) => resource === "sessions")?.used ?? 0;
    const names = all.map(({ name, devices }) => `${name} ${devices.every(({ isUp }) => isUp) ? "up" : "not up"}`);
    const seen = [
      up,
      `${both.filter(Boolean).length} of ${both.length} routes and addresses in kernel and config`,
      `${packets} packets by ${rule?.name} at line ${rule?.place?.line}`,
      `${after.connections.xdp} connections by XDP, ${sessions} sessions`,
      ...(after.changes.isUnfinished ? ["a change is unfinished"] : []),
      names.join(", "),
    ].join("; ");
    const ok =
      up === "xvrf1000 up, xgre1000 up" &&
      both.length === 3 &&
      both.every(Boolean) &&
      packets > 0 &&
      rule?.name === "allow udp 5000" &&
      (rule.place?.line ?? 0) > 0 &&
      after.connections.xdp > 0 &&
      sessions > 0 &&
      !after.changes.isUnfinished &&
      names.join(", ") === "user1 up, user2 up";
    return { ok, seen };
  },
};
