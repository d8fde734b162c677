// Runs in the VM: gateways with ever more tenants, one after the other; prints a line of JSON for each.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Namespace, tryRun } from "../../vm/lab/netns.js";
import { writeConfig } from "./config.js";
import { type ControlEffort, controlEfforts, controlMark, type Measured } from "./shape.js";

const child = fileURLToPath(new URL("./child.js", import.meta.url));
/** To have a known heap, and what `xgw run` sets for itself. */
const flags = ["--expose-gc", "--no-flush-bytecode"];
const passProgram = fileURLToPath(new URL("../../bpf/test-pass.bpf.o", import.meta.url));
const modules = ["vrf", "ip_gre", "nf_conntrack", "nf_flow_table", "nf_tables", "veth"];

/** Its last line of output; what it says besides goes to stderr. */
function measure(namespace: Namespace, ...args: readonly (string | number)[]): Promise<Measured> {
  const [, ...enter] = ["nsenter", `--net=/run/netns/${namespace.name}`, "--"];
  return new Promise((resolve, reject) => {
    const process_ = spawn("nsenter", [...enter, process.execPath, ...flags, child, ...args.map(String)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    process_.stdout.on("data", (data: Buffer) => {
      output += data.toString();
    });
    process_.on("error", reject);
    process_.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(output.trim().split("\n").at(-1) ?? "") as Measured);
      else reject(new Error(`${args.join(" ")} ended with ${code}`));
    });
  });
}

async function measureTenants(tenants: number, effort: ControlEffort): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "xgw-control-"));
  const namespace = await Namespace.create(`control${tenants}`);
  try {
    await namespace.ip("link add eth0 type veth peer name wire", "addr add 172.16.0.1/16 dev eth0");
    await namespace.ip("link set eth0 up", "link set wire up");
    await namespace.run("ip", "link", "set", "dev", "wire", "xdp", "obj", passProgram, "sec", "xdp");
    writeConfig(folder, `control${tenants}`, "eth0", tenants);
    const run = await measure(namespace, "daemon", folder, tenants, effort.changes, effort.idleMs);
    process.stderr.write(`${tenants} tenants: ${JSON.stringify(run)}\n`);
    const start = await measure(namespace, "start", folder);
    process.stderr.write(`${tenants} tenants: ${JSON.stringify(start)}\n`);
    process.stdout.write(`${controlMark}${JSON.stringify({ tenants, ...run, ...start })}\n`);
    if (tenants < 1000) await measure(namespace, "teardown", folder); // a large one goes with the machine
  } finally {
    if (tenants < 1000) await namespace.delete();
    rmSync(folder, { recursive: true, force: true });
  }
}

const effort = controlEfforts[process.argv[2] === "full" ? "full" : "quick"];
const wanted = process.argv[3]?.split(",").map(Number) ?? effort.tenants;
for (const name of modules) await tryRun("modprobe", ["-q", name]);
for (const tenants of wanted) await measureTenants(tenants, effort);
