/** One tenant beyond its quota is no other tenant's trouble. */

import { readFile } from "node:fs/promises";
import type { Check, Lab } from "../check.js";
import { intact, transfer } from "./traffic.js";

const perSecond = 10;
const floodPerSecond = 10 * perSecond;
const seconds = 5;
const quota = (number: number) => `newPerSecond: ${number}`;

/** Connections to user2, one after the other, until something else has ended: how many there were, and how many worked. */
async function connectUntil(ended: Promise<unknown>, { client, user2 }: Lab) {
  let isOver = false;
  void ended.finally(() => {
    isOver = true;
  });
  const count = { tried: 0, worked: 0 };
  while (!isOver) {
    count.tried++;
    const ends = transfer(client, user2, { host: "2.2.2.12", port: 23 }, { client: 1, server: 2 }, 8);
    if (await ends.then((both) => intact(both, 8)).catch(() => false)) count.worked++;
  }
  return count;
}

export const flood: Check = {
  id: "flood",
  title: `new connections to user1, ten times as many as it may have (${perSecond} a second), and others to user2 meanwhile`,
  wanted: "all of user2's work; each of user1's arrives or is counted under quota",
  async run(lab) {
    const { client, user1, xgw } = lab;
    const asItWas = await readFile(xgw.configFile, "utf8");
    const putInForce = (change: () => Promise<void>) => xgw.causing("reconciled", change);
    await putInForce(() => xgw.edit([quota(5000), quota(perSecond)]));
    await user1.serveUdp(5000);
    const refused = async () => (await xgw.tenant("user1")).xdp.quota?.packets ?? 0;
    const refusedBefore = await refused();
    try {
      const count = floodPerSecond * seconds;
      const flooding = client.floodUdp({ host: "2.2.2.11", port: 5000, count, perSecond: floodPerSecond });
      const { tried, worked } = await connectUntil(flooding, lab);
      const { sent, tookMs } = await flooding;
      const dropped = (await refused()) - refusedBefore;
      const arrived = (await user1.udpServed(5000)).received;
      const mostAdmitted = perSecond * (tookMs / 1000 + 2);
      const rate = Math.round((1000 * sent) / tookMs);
      return {
        ok: tried > 0 && worked === tried && arrived + dropped === sent && arrived <= mostAdmitted && dropped > 0,
        seen: `user2: ${worked} of ${tried}; user1: ${arrived} of ${sent} at ${rate} a second, ${dropped} under quota`,
      };
    } finally {
      await user1.close(5000);
      await putInForce(() => xgw.write(asItWas));
    }
  },
};
