// A trial without a daemon, as far as every kernel can go: what it needs to begin, and the way back to nothing.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { forgetApplied, keepApplied, readApplied } from "../../src/applied.js";
import { loadConfig } from "../../src/config/load.js";
import { endTrial, type KernelTrial, readTrial, uptime, writeTrial } from "../../src/trial.js";
import { FlowGateway } from "./support/flow-gateway.js";

const gateway = await FlowGateway.make(1024);
const { config: file } = gateway;
const { config } = await loadConfig(file);
const { instance } = config;

const trial = (change: Partial<KernelTrial> = {}): KernelTrial => ({
  kind: "kernel",
  token: `t${Math.random()}`,
  instance,
  file,
  deadline: uptime() - 1,
  before: null,
  ...change,
});
const isOnTrial = () => gateway.inside(() => readTrial(file)) !== undefined;
const isLoaded = () => gateway.pins.maps().length > 0;

function guard(point: number): NodeJS.Signals | null {
  const script = fileURLToPath(new URL("support/run-guard.mjs", import.meta.url));
  return spawnSync("nsenter", [`--net=${gateway.namespace.path}`, process.execPath, script, file, `${point}`]).signal;
}

afterAll(() =>
  gateway.inside(() => {
    const left = readTrial(file);
    if (left) endTrial(left);
    forgetApplied(instance);
  }),
);

describe("apply --confirm without a daemon is refused, with nothing on trial,", () => {
  const refused = (words: RegExp) => {
    const { code, stderr } = gateway.xgw("apply", "--confirm", "60");
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(words) });
    expect(isOnTrial()).toBe(false);
  };

  it("where nobody knows what is in force", () => refused(/nothing that could be gone back to: nobody has kept/));

  it("where that is not what was applied last", () => {
    gateway.inside(() =>
      keepApplied({ ...config, nics: [{ name: "v0", xdp: "native" }], underlay: { ...config.underlay, device: "v0" } }),
    );
    refused(/what is in force is not what was applied last; first `xgw apply`/);
  });
});

describe("what was applied last", () => {
  it("is kept whole, for root alone", () => {
    gateway.inside(() => keepApplied(config));
    expect(gateway.inside(() => readApplied(instance))).toEqual(JSON.parse(JSON.stringify(config)));
  });
});

describe("a trial whose time is over", () => {
  it("is not taken back when it was given more time meanwhile", () => {
    gateway.inside(() => writeTrial(trial({ deadline: uptime() + 100 })));
    const { status } = spawnSync("timeout", [
      "3",
      "nsenter",
      `--net=${gateway.namespace.path}`,
      process.execPath,
      fileURLToPath(new URL("support/run-guard.mjs", import.meta.url)),
      file,
      "99",
    ]);
    expect([status, isOnTrial(), isLoaded()]).toEqual([124, true, true]);
  });

  it("is taken back to nothing where nothing was; who takes it back may be killed at any point", () => {
    gateway.inside(() => writeTrial(trial()));
    let at = 0;
    for (; guard(at) === "SIGKILL"; at++) expect({ at, isOnTrial: isOnTrial() }).toEqual({ at, isOnTrial: true });
    expect(at, "points").toBeGreaterThan(2);
    expect([isLoaded(), isOnTrial()]).toEqual([false, false]);
  });

  it("does not keep the next apply from being the one that counts", () => {
    gateway.inside(() => writeTrial(trial()));
    gateway.xgw("apply");
    expect(isOnTrial()).toBe(false);
  });
});
