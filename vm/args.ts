import { parseArgs } from "node:util";
import { UsageError } from "./usage.js";

export const vmUsage = `usage: npm run vm -- [options] [--] [CMD ARG…]

Boots a Debian kernel over this machine's files, runs CMD in it and ends with CMD's status. What CMD writes vanishes
with the guest, except in the directory of --share. Without CMD: a shell on the guest's console.

  --kernel NAME    a kernel of vm/kernels.json
  --timeout SEC    end the guest after that time (default 600; a shell has none)
  --share DIR      let CMD write to this directory
  --memory MIB     default 4096
  --cpus N         default 2, or 1 where they are emulated
  --console        show the guest kernel's messages as well
  --stats          say how long the boot and the whole run took

Exit status: CMD's own; 124 the time limit passed, 125 the guest could not be run or broke down, 2 usage.
`;

export interface VmArgs {
  readonly help: boolean;
  readonly kernel: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly shareDir: string | undefined;
  readonly memoryMiB: number;
  readonly cpus: number | undefined;
  readonly console: boolean;
  readonly stats: boolean;
  readonly command: readonly string[];
}

const options = {
  help: { type: "boolean", short: "h" },
  kernel: { type: "string" },
  timeout: { type: "string" },
  share: { type: "string" },
  memory: { type: "string" },
  cpus: { type: "string" },
  console: { type: "boolean" },
  stats: { type: "boolean" },
} as const;

/** Options end at the first word that is none of ours: what follows belongs to the command. */
export function parseVmArgs(argv: readonly string[]): VmArgs {
  const end = commandStart(argv);
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values } = parseArgs({ args: argv.slice(0, end), options }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const command = argv.slice(argv[end] === "--" ? end + 1 : end);
  const timeout = values.timeout ?? (command.length > 0 ? "600" : undefined);
  return {
    help: values.help ?? false,
    kernel: values.kernel,
    timeoutMs: timeout === undefined ? undefined : 1000 * positive("--timeout", timeout),
    shareDir: values.share,
    memoryMiB: positive("--memory", values.memory ?? "4096"),
    cpus: values.cpus === undefined ? undefined : positive("--cpus", values.cpus),
    console: values.console ?? false,
    stats: values.stats ?? false,
    command,
  };
}

function commandStart(argv: readonly string[]): number {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    if (word === "--" || !word.startsWith("-")) return i;
    const option = Object.entries(options).find(([name]) => word === `--${name}`)?.[1];
    if (option?.type === "string") i++;
  }
  return argv.length;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value > 0))
    throw new UsageError(`${name} wants a whole number above 0, not "${text}"`);
  return value;
}
