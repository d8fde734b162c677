// Names that a shell is offered, as the kernel has them: real pins, and devices with aliases in a namespace of their own.
import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { datapathModules } from "./support/built.js";

const { objects, load } = datapathModules;
const instance = `names${process.pid}`.slice(0, 15);
const namespace = `xgw-names-${process.pid}`;
const pins = new datapathModules.pins.Pins(instance);
const main = fileURLToPath(new URL("../../dist/xgw/lib/main.js", import.meta.url));
const ip = (...args: string[]) => execFileSync("ip", args);

/** @param uid 65534: nobody */
function offered(words: readonly string[], uid = 0): string[] {
  const command = [`--net=/run/netns/${namespace}`, `--setuid=${uid}`, process.execPath, main, "__complete", ...words];
  const { stdout, stderr } = spawnSync("nsenter", command, { encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout.trimEnd().split("\n");
}

beforeAll(() => {
  ip("netns", "add", namespace);
  const aliases = {
    red0: `xgw/${instance}/red`,
    blue0: `xgw/${instance}/blue`,
    blue1: `xgw/${instance}/blue`,
    other0: "xgw/another/green",
    mine0: "a printer",
  };
  for (const [device, alias] of Object.entries(aliases)) {
    ip("-n", namespace, "link", "add", device, "type", "veth", "peer", "name", `${device}p`);
    ip("-n", namespace, "link", "set", device, "alias", alias);
  }
  const constants = { underlayAddress: "172.168.0.1", netnsInode: 1, countsSessions: false, flows: 1024 };
  load.loadDatapath(pins, objects.fingerprintOf(constants), constants);
}, 120_000);
afterAll(() => {
  ip("netns", "del", namespace);
  pins.removeAll();
});

it("tenants: those that have devices here", () => {
  expect(offered(["flow", "list", "--tenant", ""])).toEqual(["blue", "green", "red"]);
});

it("tenants of the instance that the line names", () => {
  expect(offered(["flow", "list", "--instance", instance, "--tenant="])).toEqual(["--tenant=blue", "--tenant=red"]);
});

it("tenants for nobody, too, who may read the devices' aliases", () => {
  expect(offered(["flow", "show", "r"], 65534)).toEqual(["red"]);
});

it("instances: those with devices and those with pins", () => {
  expect(offered(["status", "--instance", ""])).toEqual(expect.arrayContaining(["another", instance]));
});

it("maps, programs and attachments: those that are pinned", () => {
  expect(offered(["map", "dump", "--instance", instance, "flo"])).toContain("flows");
  expect(offered(["prog", "show", "--instance", instance, "xgw_x"])).toEqual(["xgw_xdp"]);
});

it("no pins for nobody, and no error", () => {
  expect(offered(["map", "dump", "flo"], 65534)).toEqual([""]);
});
