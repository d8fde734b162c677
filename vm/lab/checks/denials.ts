/** Traffic that the policy refuses: it does not arrive, and the rule that refused it says so. */

import type { TenantStatus } from "../../../src/status.js";
import type { Check } from "../check.js";

interface Denial {
  readonly from: "client" | "user1" | "user2";
  readonly host: string;
  readonly port: number;
  readonly tenant: "user1" | "user2";
  readonly direction: "inbound" | "outbound";
  /** Of the config's list; undefined for "no rule allows it". */
  readonly rule: number | undefined;
}

const table: readonly Denial[] = [
  { from: "client", host: "2.2.2.11", port: 23, tenant: "user1", direction: "inbound", rule: undefined },
  { from: "client", host: "2.2.2.12", port: 22, tenant: "user2", direction: "inbound", rule: undefined },
  { from: "user1", host: "1.1.1.7", port: 22, tenant: "user1", direction: "outbound", rule: 0 },
  { from: "user2", host: "1.1.1.7", port: 23, tenant: "user2", direction: "outbound", rule: 0 },
];

function deniedBy(status: TenantStatus, { direction, rule }: Denial): number {
  const found = status.denied.find((entry) => entry.direction === direction && entry.rule === rule);
  return found?.packets ?? 0;
}

function toCheck(denial: Denial): Check {
  const { from, host, port, tenant, direction, rule } = denial;
  const by = rule === undefined ? "no rule" : `rule ${rule}`;
  return {
    id: `denied-${from}-${host}-${port}`,
    title: `${from} to ${host}:${port}`,
    wanted: `no connection; counted under ${tenant} ${direction}, ${by}`,
    async run(lab) {
      const server = from === "client" ? lab[tenant] : lab.client;
      await server.serveTcp({ port, seed: 9, bytes: 8 });
      const before = deniedBy(await lab.xgw.tenant(tenant), denial);
      const outcome = await lab[from].connectTcp({ host, port, seed: 9, bytes: 8, timeoutMs: 2500 }).then(
        () => "CONNECTED",
        (error: Error) => error.message,
      );
      const counted = deniedBy(await lab.xgw.tenant(tenant), denial) - before;
      await server.close(port);
      const refused = outcome === "timeout" || outcome === "ECONNREFUSED" || outcome === "EHOSTUNREACH";
      return { ok: refused && counted > 0, seen: `${outcome}, ${counted} packets counted` };
    },
  };
}

export const denials: readonly Check[] = table.map(toCheck);
