// node run-pinned.mjs PIN HEX REPEAT TIMES: says "ready", waits for a line, then runs a pinned program that often, each
// time on what the last one left, and prints that.
import { once } from "node:events";
import { BpfProgram } from "libbpf-ts";

const [path, hex, repeat, times] = process.argv.slice(2);
const program = BpfProgram.openPinned(path);
let data = Buffer.from(hex, "hex");
process.stdout.write("ready\n");
await once(process.stdin, "data");
for (let time = 0; time < Number(times); time++) data = program.testRun({ data, repeat: Number(repeat) }).data;
process.stdout.write(data.toString("hex"));
process.exit();
