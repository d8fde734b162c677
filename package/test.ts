// npm run test:package: the Debian package on a machine with systemd: installed, started, reloaded, stopped, purged.
import { fileURLToPath } from "node:url";
import { reportEnding } from "../vm/ending.js";
import { repoRoot } from "../vm/root.js";
import { runInVm } from "../vm/run.js";

const machine = fileURLToPath(new URL("./machine.js", import.meta.url));
/** A busy host emulates at a tenth of its usual speed. */
const timeoutMs = 2_400_000;

const result = await runInVm({ command: [process.execPath, machine], cwd: repoRoot, timeoutMs });
process.exitCode = reportEnding(result, timeoutMs, (line) => process.stderr.write(`package: ${line}\n`));
