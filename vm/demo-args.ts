import { parseArgs } from "node:util";
import type { TunnelKind } from "../src/model/desired.js";
import { UsageError } from "./usage.js";

export const demoUsage = `usage: npm run demo -- [options]

Builds the lab (a gateway, a client, two tenants with the same private address, a stranger), starts \`xgw run\` in the
gateway, drives real traffic and checks what arrives. Runs in a VM where this kernel lacks what the gateway needs.

  --report FILE   write the results as JSON, too
  --kernel NAME   always in a VM, with this kernel of vm/kernels.json
  --tunnel KIND   gretap (Ethernet in GRE, the default) or gre (IP in GRE)
  --only ID,…     some of the checks, in their order
  --quiet         no picture and no summary
  --help
`;

export interface DemoArgs {
  readonly report: string | undefined;
  readonly kernel: string | undefined;
  readonly tunnel: TunnelKind;
  /** Ids of checks; all when missing. */
  readonly only: readonly string[] | undefined;
  readonly quiet: boolean;
  readonly help: boolean;
}

/** @throws UsageError */
export function parseDemoArgs(argv: readonly string[]): DemoArgs {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        report: { type: "string" },
        kernel: { type: "string" },
        tunnel: { type: "string", default: "gretap" },
        only: { type: "string" },
        quiet: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const { report, kernel, tunnel, quiet, help } = values;
    if (tunnel !== "gretap" && tunnel !== "gre") throw new Error(`--tunnel takes gretap or gre, not ${tunnel}`);
    return { report, kernel, tunnel, only: values.only?.split(","), quiet, help };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
