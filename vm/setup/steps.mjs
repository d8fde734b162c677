import { existsSync } from "node:fs";
import { join } from "node:path";
import { runLogged } from "./command.mjs";
import { modulesInstalled } from "./modules.mjs";
import { root } from "./paths.mjs";
import { contentHash, readStamp, writeStamp } from "./stamp.mjs";

/** What is built: from which files, to which files, by which command. */
const builds = [
  {
    name: "native",
    title: "building the libbpf bindings",
    inputs: ["native", "package-lock.json"],
    results: ["native/dist/index.js", "native/build/Release/libbpf_ts.node"],
    command: ["npm", "run", "build:native"],
  },
  {
    name: "bpf",
    title: "compiling the BPF programs",
    inputs: ["bpf", "bench/bpf"],
    results: ["dist/bpf"],
    command: ["node", "bpf/build.mjs"],
  },
  {
    name: "ts",
    title: "compiling TypeScript",
    inputs: ["src", "test", "vm", "bench", "package", "native", "package-lock.json", "tsconfig.json"],
    results: ["dist/vm/test.js"],
    command: ["npx", "tsc", "-p", "tsconfig.json"],
  },
  {
    name: "bundle",
    title: "bundling the command line",
    inputs: ["src", "native", "bpf", "package", "package.json", "package-lock.json"],
    results: ["dist/xgw/lib/main.js"],
    command: ["node", "package/bundle.mjs"],
  },
  {
    name: "lab",
    title: "building the lab's programs",
    inputs: ["src", "native", "vm", "test/bpf/support", "package-lock.json"],
    results: ["dist/other/lab/worker.js"],
    command: ["node", "vm/lab/build.mjs"],
  },
];

/** The steps that have to be done, in their order; each has run(). */
export function pendingSteps() {
  const steps = [];
  if (!modulesInstalled()) steps.push({ run: installModules });
  for (const build of builds) {
    const hash = contentHash(build.inputs);
    if (readStamp(build.name) === hash && missingOf(build).length === 0) continue;
    steps.push({ run: () => runBuild(build, hash) });
  }
  return steps;
}

async function installModules() {
  await runLogged("installing npm modules", "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=http"], {
    remedy: (text) =>
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ERR_SOCKET_TIMEOUT/.test(text) ? "is the network up?" : undefined,
  });
  if (!modulesInstalled())
    throw new Error("npm ci has ended well, but node_modules is not what package-lock.json says");
}

async function runBuild(build, hash) {
  const { name, title, command } = build;
  await runLogged(title, command[0], command.slice(1));
  const missing = missingOf(build);
  if (missing.length > 0) throw new Error(`${command.join(" ")} has ended well without making ${missing.join(", ")}`);
  writeStamp(name, hash);
}

const missingOf = ({ results }) => results.filter((result) => !existsSync(join(root, result)));
