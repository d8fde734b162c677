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
  --keep          instead of the checks: traffic that goes on, and a shell in the gateway; with -- CMD… that command
  --help
`;

export interface DemoArgs {
  readonly report: string | undefined;
  readonly kernel: string | undefined;
  readonly tunnel: TunnelKind;
  /** Ids of checks; all when missing. */
  readonly only: readonly string[] | undefined;
  readonly quiet: boolean;
  /** The lab is left standing for a shell, or for this command. */
  readonly keep: boolean;
  readonly command: readonly string[];
  readonly help: boolean;
}

/** @throws UsageError */
export function parseDemoArgs(argv: readonly string[]): DemoArgs {
  try {
    const { values, positionals: command } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        report: { type: "string" },
        kernel: { type: "string" },
        tunnel: { type: "string", default: "gretap" },
        only: { type: "string" },
        quiet: { type: "boolean", default: false },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const { report, kernel, tunnel, quiet, keep, help } = values;
    if (tunnel !== "gretap" && tunnel !== "gre") throw new Error(`--tunnel takes gretap or gre, not ${tunnel}`);
    if (command.length > 0 && !keep) throw new Error(`${command[0]}: a command needs --keep`);
    if (keep && (report ?? values.only) !== undefined) throw new Error("--keep makes no checks, and no report");
    return { report, kernel, tunnel, only: values.only?.split(","), quiet, keep, command, help };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
