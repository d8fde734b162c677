import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/**
 * Programs, bindings and the lab all use the one kernel that there is: a file at a time, and time enough. Where the kernel is
 * emulated, a process for each file takes seconds to begin.
 */
function onTheKernel(name: string, groupOrder: number, timeoutMs: number, isolate = true) {
  return {
    name,
    globalSetup: "test/native/support/bpffs.ts",
    include: [`test/${name}/**/*.test.ts`],
    fileParallelism: false,
    isolate,
    sequence: { groupOrder },
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
  };
}

/** As it has been built: to read it as TypeScript takes longer in the VM than most tests do. */
const dist = fileURLToPath(new URL("dist/", import.meta.url));
const asBuilt = {
  resolve: { alias: [{ find: /^(?:\.\.\/)+((?:src|vm)\/.*\.js)$/, replacement: `${dist}$1` }] },
  server: { deps: { external: [/\/dist\//] } },
};

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000 } },
      { test: onTheKernel("native", 1, 120_000) },
      { test: onTheKernel("bpf", 2, 120_000) },
      { resolve: asBuilt.resolve, test: { ...onTheKernel("e2e", 3, 600_000, false), server: asBuilt.server } },
    ],
  },
});
