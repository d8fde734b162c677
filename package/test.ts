// npm run test:package: the Debian package on a machine with systemd: installed, started, reloaded, stopped, purged.

import { fileURLToPath } from "node:url";
import { repoRoot } from "../vm/root.js";
import { runInVm } from "../vm/run.js";

const machine = fileURLToPath(new URL("./machine.js", import.meta.url));

const { exitCode } = await runInVm({
  command: [process.execPath, machine],
  cwd: repoRoot,
  timeoutMs: 600_000,
});
process.exitCode = exitCode ?? 125;
