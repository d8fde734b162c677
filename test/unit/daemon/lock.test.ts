// One xgw at a time for an instance, whatever becomes of it. The other holder is a process of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { withLock } from "../../../src/lock.js";
import { runtimeDirectory, runtimeFile } from "../../../src/runtime-directory.js";

const instance = `locktest${process.pid}`;
const directory = mkdtempSync(join(tmpdir(), "xgw-lock-"));
afterAll(() => rmSync(directory, { recursive: true }));
const lockModule = new URL("../../../dist/src/lock.js", import.meta.url).href;

let holder: ChildProcess | undefined;
afterEach(async () => {
  const running = holder?.exitCode === null && holder.signalCode === null ? holder : undefined;
  holder = undefined;
  if (!running) return;
  running.kill("SIGKILL");
  await once(running, "exit");
});

/** A process that takes the lock and keeps it. */
async function hold(name = instance, wrapper: readonly string[] = []): Promise<ChildProcess> {
  const script = `import { withLock } from ${JSON.stringify(lockModule)};
    await withLock({ instance: ${JSON.stringify(name)}, purpose: "run", waitMs: 0, directory: ${JSON.stringify(directory)} }, () => {
      console.log("held");
      return new Promise((done) => setTimeout(done, 60_000));
    });`;
  const [program = "", ...args] = [...wrapper, process.execPath, "--input-type=module", "-e", script];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  holder = child;
  return child;
}

const take = (waitMs: number, name = instance) =>
  withLock({ instance: name, purpose: "apply", waitMs, directory }, async () => "mine");

describe("a lock that another process holds", () => {
  it("is refused, and whoever asks is told who has it and for what", async () => {
    const { pid } = await hold();
    await expect(take(0)).rejects.toMatchObject({
      code: "XGW_BUSY",
      exitCode: 1,
      message: `xgw instance ${instance} has to wait for process ${pid} (xgw run, instance ${instance})`,
    });
  });

  it("is free as soon as that process is killed", async () => {
    const child = await hold();
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await take(0)).toBe("mine");
  });

  it("is waited for", async () => {
    const child = await hold();
    setTimeout(() => child.kill("SIGKILL"), 150);
    expect(await take(5000)).toBe("mine");
  });

  it("has another instance wait, and says who has it", async () => {
    const { pid } = await hold();
    await expect(take(0, `${instance}b`)).rejects.toThrow(
      `xgw instance ${instance}b has to wait for process ${pid} (xgw run, instance ${instance})`,
    );
  });

  it("does not have another instance wait for what touches its own pins only", async () => {
    await hold();
    const options = { instance: `${instance}b`, purpose: "run", waitMs: 0, isOwnOnly: true, directory };
    expect(await withLock(options, async () => "mine")).toBe("mine");
  });

  it("does not lock the same instance of another network namespace", async () => {
    await hold(instance, ["unshare", "--net"]);
    expect(await take(0)).toBe("mine");
  });
});

it("a lock is free again when the work is done", async () => {
  await take(0);
  expect(await take(0)).toBe("mine");
});

it("a lock is free again when the work has failed, which is told", async () => {
  const failing = withLock({ instance, purpose: "apply", waitMs: 0, directory }, () =>
    Promise.reject(new Error("no luck")),
  );
  await expect(failing).rejects.toThrow("no luck");
  expect(await take(0)).toBe("mine");
});

it("two at once in one process take turns", async () => {
  const order: string[] = [];
  const work = (name: string) => async () => {
    order.push(`${name} begins`);
    await new Promise((done) => setTimeout(done, 60));
    order.push(`${name} ends`);
  };
  const options = { instance, purpose: "apply", waitMs: 5000, directory };
  await Promise.all([withLock(options, work("first")), withLock(options, work("second"))]);
  expect(order.map((line) => line.split(" ")[1])).toEqual(["begins", "ends", "begins", "ends"]);
});

it("a lock leaves no file behind", async () => {
  const name = `${instance}c`;
  await take(0, name);
  expect(readdirSync(directory).filter((file) => file.includes(name))).toEqual([]);
});

it("is in /run/xgw unless told otherwise", async () => {
  const name = `${instance}r`;
  await withLock({ instance: name, purpose: "apply", waitMs: 0 }, async () => {
    expect(existsSync(runtimeFile(`${name}.lock`))).toBe(true);
  });
  expect(runtimeDirectory).toBe("/run/xgw");
});

it("an abstract socket that a local user sits on, as it once was the lock, locks nobody out", async () => {
  const script = `require("node:net").createServer().listen(${JSON.stringify(`\0xgw/${instance}`)}, () => console.log("bound"));`;
  holder = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"], uid: 65534, gid: 65534 });
  if (holder.stdout) await once(holder.stdout, "data");
  expect(await take(0)).toBe("mine");
});
