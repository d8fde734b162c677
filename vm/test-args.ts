import { parseArgs } from "node:util";
import { UsageError } from "./usage.js";

export const testProjects = ["unit", "native", "bpf", "e2e"] as const;
export type TestProject = (typeof testProjects)[number];

export const testUsage = `usage: npm test -- [options] [${testProjects.join(" | ")}]… [FILE…]

Runs the tests, those for the kernel on this machine's if it can, else in the VM. FILE is a part of a test file's path.

  --kernel NAME    run native, bpf and e2e in the VM on that kernel of vm/kernels.json
  --timeout SEC    end the VM after that time (default 1800)
  -t, --name TEXT  only tests whose name matches
`;

export interface TestArgs {
  readonly help: boolean;
  readonly projects: readonly TestProject[];
  readonly files: readonly string[];
  readonly kernel: string | undefined;
  readonly timeoutMs: number;
  readonly name: string | undefined;
}

const options = {
  help: { type: "boolean", short: "h" },
  kernel: { type: "string" },
  timeout: { type: "string" },
  name: { type: "string", short: "t" },
} as const;

export function parseTestArgs(args: readonly string[]): TestArgs {
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  const projects = testProjects.filter((name) => positionals.includes(name));
  const seconds = Number(values.timeout ?? "1800");
  if (!(seconds > 0)) throw new UsageError(`--timeout wants seconds, not "${values.timeout}"`);
  return {
    help: values.help ?? false,
    projects: projects.length > 0 ? projects : testProjects,
    files: positionals.filter((word) => !testProjects.some((name) => name === word)),
    kernel: values.kernel,
    timeoutMs: seconds * 1000,
    name: values.name,
  };
}
