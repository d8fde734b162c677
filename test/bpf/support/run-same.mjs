// node run-same.mjs PIN HEX TIMES: says "ready", waits for a line, then runs a pinned program that often on the same packet,
// and prints what it returned how often, as JSON.
import { once } from "node:events";
import { BpfProgram } from "libbpf-ts";

const [path, hex, times] = process.argv.slice(2);
const program = BpfProgram.openPinned(path);
const data = Buffer.from(hex, "hex");
process.stdout.write("ready\n");
await once(process.stdin, "data");
const returned = {};
for (let time = 0; time < Number(times); time++) {
  const { retval } = program.testRun({ data });
  returned[retval] = (returned[retval] ?? 0) + 1;
}
process.stdout.write(JSON.stringify(returned));
process.exit();
