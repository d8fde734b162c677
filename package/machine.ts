// In the guest: the Debian package's life on a machine with systemd, with real traffic through the lab's hosts.
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Host } from "../vm/lab/host.js";
import type { Output } from "../vm/lab/netns.js";
import { buildTopology } from "../vm/lab/topology.js";
import { repoRoot } from "../vm/root.js";
import { Machine } from "./systemd.js";

const configFile = "/etc/xgw/xgw.yaml";
const dropIn = "/etc/systemd/system/xgw.service.d";
/** What `systemd-analyze security` may give the unit, of 10: not more than it gave when this was written. */
const mostExposure = 2.6;

interface Stage {
  readonly title: string;
  readonly wanted: string;
  /** What was seen, in the words of `wanted` when all is well. */
  run(): Promise<string>;
}

const topology = await buildTopology("pkg", { tunnels: ["gretap", "gretap"] });
const client = new Host(topology.hosts.client);
const machine = await Machine.boot(topology.hosts.gateway);
const packageFile = join(
  repoRoot,
  "dist",
  (await readdir(join(repoRoot, "dist"))).find((name) => name.endsWith(".deb")) ?? "",
);
const example = await readFile(join(repoRoot, "examples/two-tenants.yaml"), "utf8");

/** Echo requests to user1's public address that were answered, of 3. */
const answered = async () => `${await client.ping("2.2.2.11")} of 3 pings`;
const failed = ({ code, stdout, stderr }: Output) => (code === 0 ? "" : `exit ${code}: ${stderr || stdout}; `);

async function until(what: string, holds: () => Promise<boolean>, seconds = 60): Promise<void> {
  for (const deadline = performance.now() + 1000 * seconds; !(await holds()); await sleep(500))
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}; ${await journal()}`);
}

const journal = async () =>
  (await machine.run("journalctl", "-u", "xgw", "-o", "cat", "-n", "30", "--no-pager")).stdout;

/** Ports that the policy lets in, out of those asked for. */
async function letIn(port: number): Promise<boolean> {
  const { stdout } = await machine.run("nft", "-n", "list", "map", "ip", "xgw_gw1", "inbound0");
  return new RegExp(`\\b${port}\\b`).test(stdout);
}

/** Files that bear xgw's name, outside of what npm has installed. */
async function named(): Promise<string[]> {
  const places = [
    "/etc",
    "/usr/bin",
    "/usr/lib",
    "/usr/share/doc",
    "/usr/share/man",
    "/usr/share/bash-completion",
    "/usr/share/fish",
    "/usr/share/zsh",
    "/var/lib/systemd",
    "/var/lib/dpkg/info",
  ];
  const notNpm = ["-not", "-path", "*/node_modules/*"];
  const { stdout } = await machine.run("find", ...places, "-xdev", "-name", "*xgw*", ...notNpm);
  return stdout.split("\n").filter((line) => line !== "");
}
/** Such as the set-up's list of backports. */
const namedBefore = new Set(await named());

let started = 0;
const stages: readonly Stage[] = [
  {
    title: "dpkg -i",
    wanted: "installed, enabled, not started without a config",
    async run() {
      const done = failed(await machine.run("dpkg", "-i", packageFile));
      const { UnitFileState, ActiveState } = await machine.show("xgw", "UnitFileState", "ActiveState");
      const version = failed(await machine.run("xgw", "--version"));
      if (done || version) return done + version;
      return `installed, ${UnitFileState}, ${ActiveState === "inactive" ? "not started without a config" : ActiveState}`;
    },
  },
  {
    title: "systemctl start xgw",
    wanted: "active when the config is in force; 3 of 3 pings",
    async run() {
      await writeFile(configFile, example);
      await machine.run("mkdir", "-p", dropIn);
      await writeFile(`${dropIn}/test.conf`, "[Service]\nWatchdogSec=20\n");
      await machine.run("systemctl", "daemon-reload");
      const begun = performance.now();
      const start = failed(await machine.run("systemctl", "start", "xgw"));
      started = performance.now() - begun;
      const { ActiveState } = await machine.show("xgw", "ActiveState");
      if (start || ActiveState !== "active") return `${start}${ActiveState}; ${await journal()}`;
      const isThere = (await letIn(22)) && existsSync("/sys/fs/bpf/xgw/gw1/links/xdp_eth0");
      return `active ${isThere ? "when the config is in force" : "too early"}; ${await answered()}`;
    },
  },
  {
    title: "capabilities of the daemon",
    wanted: "those of the unit and no others",
    async run() {
      const { MainPID, CapabilityBoundingSet } = await machine.show("xgw", "MainPID", "CapabilityBoundingSet");
      const { stdout } = await machine.run(
        "sh",
        "-c",
        `capsh --decode=$(sed -n 's/^CapEff:\\s*//p' /proc/${MainPID}/status)`,
      );
      const effective = stdout.trim().split("=")[1]?.split(",").sort().join(" ");
      return effective === CapabilityBoundingSet.split(" ").sort().join(" ")
        ? "those of the unit and no others"
        : `${effective} instead of ${CapabilityBoundingSet}`;
    },
  },
  {
    title: "systemd-analyze security",
    wanted: `an exposure of ${mostExposure} at most`,
    async run() {
      const { stdout, stderr } = await machine.run("systemd-analyze", "security", "--no-pager", "xgw.service");
      const exposure = Number(/exposure level for xgw\.service: ([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN);
      if (exposure <= mostExposure) return `an exposure of ${mostExposure} at most`;
      return `an exposure of ${exposure}: ${stderr}${stdout}`;
    },
  },
  {
    title: "/run/xgw",
    wanted: "root's alone (700 0 0), with the daemon's lock and socket",
    async run() {
      const { stdout: mode } = await machine.run("stat", "-c", "%a %u %g", "/run/xgw");
      const { stdout: files } = await machine.run("ls", "/run/xgw");
      const both = /daemon-\w+\.lock/.test(files) && /daemon-\w+\.sock/.test(files);
      return `root's alone (${mode.trim()}), with ${both ? "the daemon's lock and socket" : files}`;
    },
  },
  {
    title: "what needs each of the capabilities: a device and a map's pin that are removed",
    wanted: "both come back; 3 of 3 pings",
    async run() {
      const pin = "/sys/fs/bpf/xgw/gw1/maps/flows";
      await machine.run("ip", "link", "delete", "xgre1000");
      await machine.run("rm", pin);
      await until("the device and the pin are back", async () => {
        const device = await machine.run("ip", "link", "show", "xgre1000");
        return device.code === 0 && existsSync(pin);
      });
      return `both come back; ${await answered()}`;
    },
  },
  {
    title: "systemctl reload xgw, with an edited config",
    wanted: "the new port is let in, the daemon is the same; 3 of 3 pings",
    async run() {
      const { MainPID } = await machine.show("xgw", "MainPID");
      await writeFile(configFile, example.replace("ports: [22] }", "ports: [22, 2222] }"));
      const reload = failed(await machine.run("systemctl", "reload", "xgw"));
      await until("port 2222 is let in", () => letIn(2222));
      const same = (await machine.show("xgw", "MainPID")).MainPID === MainPID;
      return `${reload}the new port is let in, the daemon is ${same ? "the same" : "another"}; ${await answered()}`;
    },
  },
  {
    title: "a daemon that hangs",
    wanted: "is killed by the watchdog and started again; 3 of 3 pings meanwhile",
    async run() {
      const { MainPID } = await machine.show("xgw", "MainPID");
      await machine.run("kill", "-STOP", MainPID);
      const meanwhile = await answered();
      await until(
        "the daemon is another and active",
        async () => {
          const now = await machine.show("xgw", "MainPID", "ActiveState");
          return now.ActiveState === "active" && now.MainPID !== MainPID;
        },
        120,
      );
      const byWatchdog = /watchdog/i.test((await machine.run("journalctl", "-u", "xgw", "--no-pager")).stdout);
      return `is killed by ${byWatchdog ? "the watchdog" : "something"} and started again; ${meanwhile} meanwhile`;
    },
  },
  {
    title: "systemctl stop xgw",
    wanted: "inactive; 3 of 3 pings",
    async run() {
      const stop = failed(await machine.run("systemctl", "stop", "xgw"));
      const { ActiveState, Result } = await machine.show("xgw", "ActiveState", "Result");
      return `${stop}${ActiveState}${Result === "success" ? "" : ` (${Result})`}; ${await answered()}`;
    },
  },
  {
    title: "dpkg -r xgw, which is running",
    wanted: "stopped, the config stays; says how to remove the gateway; 3 of 3 pings",
    async run() {
      await machine.run("systemctl", "start", "xgw");
      const remove = await machine.run("dpkg", "-r", "xgw");
      const { ActiveState } = await machine.show("xgw", "ActiveState");
      const stopped = ActiveState === "inactive" && !existsSync("/usr/lib/xgw");
      const words = /xgw teardown/.test(remove.stdout) ? "says how to remove the gateway" : "says nothing";
      const config = existsSync(configFile) ? "stays" : "is lost";
      return `${failed(remove)}${stopped ? "stopped" : ActiveState}, the config ${config}; ${words}; ${await answered()}`;
    },
  },
  {
    title: "dpkg -P xgw",
    wanted: "nothing on disk; 3 of 3 pings",
    async run() {
      await machine.run("rm", "-r", dropIn); // the test's own
      const purge = failed(await machine.run("dpkg", "-P", "xgw"));
      const left = (await named()).filter((file) => !namedBefore.has(file));
      return `${purge}${left.length === 0 ? "nothing" : left.join(", ")} on disk; ${await answered()}`;
    },
  },
];

let failures = 0;
for (const { title, wanted, run } of stages) {
  const begun = performance.now();
  const seen = await run().catch((error: Error) => error.message);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const ok = seen === wanted;
  if (!ok) failures++;
  process.stdout.write(
    `${ok ? "ok  " : "FAIL"}  ${title}  (${seconds} s)\n        wanted  ${wanted}\n        seen    ${seen}\n`,
  );
}
process.stdout.write(
  `\n${stages.length - failures} stages passed, ${failures} failed; the start took ${(started / 1000).toFixed(1)} s\n`,
);
machine.off();
await client.stop();
process.exitCode = failures > 0 ? 1 : 0;
process.exit();
