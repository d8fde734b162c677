// What systemd is told, and that without it nothing happens.
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, it, vi } from "vitest";
import { serviceManager } from "../../../src/daemon/service-manager.js";
import { createLogger } from "../../../src/log.js";

const told: string[] = vi.hoisted(() => []);
const broken = vi.hoisted(() => ({ why: "" }));

vi.mock("../../../src/kernel/spawn.js", () => ({
  run: async (program: string, args: readonly string[]) => {
    if (broken.why !== "") throw new Error(broken.why);
    told.push([program, ...args].join(" "));
  },
}));

let logged = "";
const log = createLogger({ level: "warn", target: { write: (text) => (logged += text) } });

beforeEach(() => {
  told.length = 0;
  logged = "";
  broken.why = "";
});

it("without a service manager nobody is told", async () => {
  await serviceManager({}, log).tell("READY=1");
  expect(told).toEqual([]);
});

it("what is told goes by systemd-notify", async () => {
  await serviceManager({ NOTIFY_SOCKET: "/run/systemd/notify" }, log).tell("READY=1", "STATUS=in step");
  expect(told).toEqual(["systemd-notify READY=1 STATUS=in step"]);
});

it("the watchdog is fed three times in its period, until stopped", async () => {
  const manager = serviceManager({ NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "300000" }, log);
  await sleep(250);
  manager.stop();
  expect(told.length).toBeGreaterThanOrEqual(1);
  expect(new Set(told)).toEqual(new Set(["systemd-notify WATCHDOG=1"]));
});

it("a service manager that cannot be told is logged, and is no failure", async () => {
  broken.why = "systemd-notify is not installed";
  await serviceManager({ NOTIFY_SOCKET: "/run/systemd/notify" }, log).tell("READY=1");
  expect(logged).toContain("systemd-notify is not installed");
});
