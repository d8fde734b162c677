// One daemon an instance, by whatever config file.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import { InstanceClaim } from "../../../src/daemon/instance-claim.js";
import { withLock } from "../../../src/lock.js";

const directory = mkdtempSync(join(tmpdir(), "xgw-claim-"));
const [one, other] = [new InstanceClaim(directory), new InstanceClaim(directory)];
afterEach(() => {
  one.release();
  other.release();
});
afterAll(() => rmSync(directory, { recursive: true }));

it("an instance that another daemon has is refused, and whoever asks is told who has it", () => {
  one.claim("gw1");
  expect(() => other.claim("gw1")).toThrow(
    expect.objectContaining({
      code: "XGW_BUSY",
      message: `a daemon for instance gw1 is running already, as process ${process.pid} (xgw run)`,
    }),
  );
});

it("it is free when that one ends", () => {
  one.claim("gw1");
  one.release();
  other.claim("gw1");
});

it("a daemon may claim what it has, and another instance besides, and keeps both", () => {
  one.claim("gw1");
  one.claim("gw1");
  one.claim("gw2");
  expect(() => other.claim("gw1")).toThrow(/gw1/);
  expect(() => other.claim("gw2")).toThrow(/gw2/);
});

it("keeps no command from changing the instance", async () => {
  one.claim("gw1");
  const options = { instance: "gw1", purpose: "apply", waitMs: 0, directory };
  expect(await withLock(options, async () => "changed")).toBe("changed");
});
