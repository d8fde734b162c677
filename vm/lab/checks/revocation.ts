/** What was allowed and no longer is ends at once; everything else goes on. */

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Check, Lab, Seen } from "../check.js";

type Edit = readonly [from: string, to: string];

const localPort = 41_000;
const rule = "        - { allow: tcp, ports: [22] }\n";

/** Bytes that each end of the flow has received. */
async function progress({ client, user1 }: Lab): Promise<readonly [number, number]> {
  const [near, far] = [await client.flowState(localPort), await user1.flowState(22)];
  return [near.receivedBytes, far.receivedBytes];
}

async function moves(lab: Lab, timeoutMs: number): Promise<boolean> {
  const before = await progress(lab);
  for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; await sleep(100)) {
    const now = await progress(lab);
    if (now.every((bytes, end) => bytes > (before[end] ?? 0))) return true;
  }
  return false;
}

/** A TCP flow client to user1 and a UDP stream client to user2, the edit, and what both came to. */
async function afterEdit(lab: Lab, edits: readonly Edit[], wanted: "ends" | "goes on"): Promise<Seen> {
  const { client, user1, user2, xgw } = lab;
  const original = await readFile(xgw.configFile, "utf8");
  await user2.serveUdp(5000);
  await user1.serveFlow(22);
  await client.startFlow({ host: "2.2.2.11", port: 22, localPort });
  if (!(await moves(lab, 10_000))) return { ok: false, seen: "the flow did not begin" };
  const stream = client.streamUdp({ host: "2.2.2.12", port: 5000, count: 100_000, intervalMs: 10, bytes: 400 });
  const bumps = async () => (await xgw.tenant("user2")).xdp.generation?.packets ?? 0;
  const bumpsBefore = await bumps();
  await sleep(1000);
  try {
    const from = xgw.daemonLog.length;
    await xgw.edit(...edits);
    await xgw.logLine(/"reason":"config changed".*"msg":"reconciled"/, from);
    const entries = await xgw.conntrack("dst=2.2.2.11", `sport=${localPort}`, "dport=22");
    await sleep(500); // what the client has in its socket buffers
    const atOnce = await progress(lab);
    await sleep(4000); // time for retransmissions to bring it back to life
    const later = await progress(lab);
    const moved = later[0] - atOnce[0] + later[1] - atOnce[1];
    const { ended } = await client.flowState(localPort);
    client.stopStream();
    const { sent, received } = await stream;
    const disturbed = (await bumps()) - bumpsBefore;
    const right = wanted === "ends" ? moved === 0 && entries.length === 0 : moved > 0 && ended === "";
    const flow = `${moved} bytes afterwards, ${entries.length} conntrack entries, client: ${ended || "open"}`;
    const other = `user2: ${received} of ${sent} echoed, ${disturbed} decided anew`;
    return { ok: right && received === sent && disturbed === 0, seen: `${flow}; ${other}` };
  } finally {
    client.stopStream();
    await client.endFlow(localPort);
    await user1.close(22);
    await user2.close(5000);
    const from = xgw.daemonLog.length;
    await xgw.write(original);
    await xgw.logLine(/"msg":"reconciled"/, from);
  }
}

function revocation(id: string, title: string, wanted: "ends" | "goes on", edits: readonly Edit[]): Check {
  return {
    id,
    title,
    wanted: `user1's live connection ${wanted}; user2 loses nothing and is not decided anew`,
    run: (lab) => afterEdit(lab, edits, wanted),
  };
}

export const revocations: readonly Check[] = [
  revocation("revoke-rule", "the rule that admitted a connection is removed", "ends", [[rule, ""]]),
  revocation("revoke-keep", "the same with `established: keep`", "goes on", [
    [rule, ""],
    ["    policy:\n", "    policy:\n      established: keep\n"],
  ]),
  revocation("revoke-address", "the public address that it came by is changed", "ends", [
    ["- { address: 2.2.2.11, to: 10.0.0.7 }", "- { address: 2.2.2.21, to: 10.0.0.7 }"],
  ]),
];
