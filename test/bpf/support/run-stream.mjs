// node run-stream.mjs PIN NETNS IFINDEX HEX: sends frames by a pinned program's live test runs, a few at a time without end,
// until a line comes in; then says "done".
import { BpfProgram, inNetNamespace } from "libbpf-ts";

const [path, netns, ifindex, hex] = process.argv.slice(2);
const program = BpfProgram.openPinned(path);
const data = Buffer.from(hex, "hex");
// struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
const context = Buffer.from(new Uint32Array([0, data.length, 0, Number(ifindex), 0, 0]).buffer);
// As many as a veth's ring takes, again and again: each test run waits for all CPUs.
const atOnce = 64;
const repeat = 50 * atOnce;
let ending = false;
process.stdin.once("data", () => {
  ending = true;
});
const send = () => {
  if (ending) {
    process.stdout.write("done\n", () => process.exit());
    return;
  }
  inNetNamespace(netns, () => program.testRun({ data, context, repeat, batchSize: atOnce, liveFrames: true }));
  setImmediate(send);
};
process.stdout.write("ready\n");
send();
