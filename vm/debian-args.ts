import { parseArgs } from "node:util";
import { UsageError } from "./usage.js";

export const releases = ["bookworm", "trixie"] as const;
export type Release = (typeof releases)[number];

export const debianUsage = `usage: npm run test:debian -- [options] [--] [ARG…]

Runs \`npm test -- ARG…\` on bare Debian systems with git, Node.js and npm and nothing else, in a clone of what is committed
here, as root by a plain \`su\`. The systems are made with debootstrap, once, on this machine's kernel; what a run changes of
them is gone with it.

  --release NAME   ${releases.join(" or ")}; both when it is not given
  --help

Exit status: that of the first \`npm test\` that failed.
`;

export interface DebianArgs {
  readonly help: boolean;
  readonly releases: readonly Release[];
  /** For npm test. */
  readonly args: readonly string[];
}

/** @throws UsageError */
export function parseDebianArgs(argv: readonly string[]): DebianArgs {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { release: { type: "string", multiple: true, default: [...releases] }, help: { type: "boolean" } },
    });
    return { help: values.help ?? false, releases: values.release.map(named), args: positionals };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function named(name: string): Release {
  const release = releases.find((known) => known === name);
  if (release === undefined) throw new Error(`--release is ${releases.join(" or ")}, not ${JSON.stringify(name)}`);
  return release;
}
