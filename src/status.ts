/** How the gateway is: in step or not, what is attached, what each tenant's packets met. Reads only. */

import type { Config } from "./config/schema.js";
import { type Count, countFlows, readReasons } from "./datapath/counters.js";
import { Pins } from "./datapath/pins.js";
import { reasons } from "./datapath/reasons.js";
import { plan } from "./gateway.js";
import { type Denied, readNftCounters } from "./observe/nft-counters.js";
import { describeStep } from "./plan/describe.js";

export interface TenantStatus {
  readonly name: string;
  readonly key: number;
  readonly id: number;
  readonly flows: number;
  /** By reason; see docs/reasons.md. */
  readonly xdp: Readonly<Record<string, Count>>;
  /** What XDP sent itself, what it gave to the kernel, and what it dropped, packets. */
  readonly packets: { readonly forwarded: number; readonly passed: number; readonly dropped: number };
  /** Packets (GRO's large ones count once) that the stack forwarded without the flowtable. */
  readonly kernelForwarded: Count;
  readonly denied: readonly Denied[];
}

export interface Status {
  readonly instance: string;
  readonly inStep: boolean;
  /** What `xgw apply` would do. */
  readonly pending: readonly string[];
  readonly nics: readonly { readonly name: string; readonly xdp: string }[];
  /** Packets that are no tenant's, by reason. */
  readonly nobody: Readonly<Record<string, Count>>;
  readonly tenants: readonly TenantStatus[];
}

const none: Count = { packets: 0, bytes: 0 };

export async function readStatus(config: Config): Promise<Status> {
  const { desired, steps } = await plan(config);
  const pins = new Pins(config.instance);
  const counts = readReasons(pins, [0, ...desired.tenants.map((tenant) => tenant.id)]);
  const flows = countFlows(pins);
  const nft = await readNftCounters(config.instance);
  return {
    instance: config.instance,
    inStep: steps.length === 0,
    pending: steps.map(describeStep),
    nics: desired.nics.map(({ name, xdp }) => ({ name, xdp })),
    nobody: counts.get(0) ?? {},
    tenants: desired.tenants.map(({ name, key, id }) => {
      const xdp = counts.get(id) ?? {};
      return {
        name,
        key,
        id,
        flows: flows.get(id) ?? 0,
        xdp,
        packets: {
          forwarded: packetsOf(xdp, "forwarded"),
          passed: packetsOf(xdp, "pass"),
          dropped: packetsOf(xdp, "drop"),
        },
        kernelForwarded: nft.forwarded.get(id) ?? none,
        denied: nft.denied.get(id) ?? [],
      };
    }),
  };
}

function packetsOf(counts: Readonly<Record<string, Count>>, verdict: "forwarded" | "pass" | "drop"): number {
  return reasons
    .filter((reason) => reason.verdict === verdict)
    .reduce((sum, reason) => sum + (counts[reason.name]?.packets ?? 0), 0);
}
