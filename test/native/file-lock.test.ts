/** Locks on files, across processes and within one; and who is at the other end of a socket. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileLock, peerCredentials } from "libbpf-ts";
import { afterAll, describe, expect, it } from "vitest";
import { failure } from "./support/kernel.js";

const folder = mkdtempSync(join(tmpdir(), "libbpf-ts-lock-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const fresh = () => join(folder, `${++files}.lock`);
const library = new URL("../../native/dist/index.js", import.meta.url).href;

/** A process that takes the lock, and says so. */
async function holderOf(path: string) {
  const script = `import { FileLock } from ${JSON.stringify(library)};
    globalThis.lock = FileLock.take(${JSON.stringify(path)}, "another");
    console.log(lock ? "held" : "refused");
    setTimeout(() => {}, 60_000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  expect(line.toString()).toBe("held\n");
  return child;
}

describe("a file's lock", () => {
  it("is had by one, and says by whom", () => {
    const path = fresh();
    using first = FileLock.take(path, "me");
    expect(first).toBeDefined();
    expect(FileLock.take(path, "someone else")).toBeUndefined();
    expect(readFileSync(path, "utf8")).toBe("me");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("is free after its release, which leaves no file", () => {
    const path = fresh();
    const first = FileLock.take(path);
    first?.release();
    first?.release();
    expect(existsSync(path)).toBe(false);
    using again = FileLock.take(path);
    expect(again).toBeDefined();
  });

  it("is free once its process is killed, and the old text is gone", async () => {
    const path = fresh();
    const child = await holderOf(path);
    expect(FileLock.take(path)).toBeUndefined();
    child.kill("SIGKILL");
    await once(child, "exit");
    using mine = FileLock.take(path, "me");
    expect(mine).toBeDefined();
    expect(readFileSync(path, "utf8")).toBe("me");
  });

  it("is of the file that the path leads to now: a removed one locks nobody out", () => {
    const path = fresh();
    const first = FileLock.take(path, "first");
    rmSync(path);
    const second = FileLock.take(path, "second");
    expect(second).toBeDefined();
    second?.release();
    first?.release();
  });

  it("is not taken through a symbolic link", () => {
    const [path, target] = [fresh(), fresh()];
    writeFileSync(target, "precious");
    symlinkSync(target, path);
    expect(failure(() => FileLock.take(path, "me"))).toMatchObject({ code: "ELOOP" });
    expect(readFileSync(target, "utf8")).toBe("precious");
  });

  it("excludes in turns: of processes that count under it, all at once, no step is lost", async () => {
    const [path, counter] = [fresh(), fresh()];
    const steps = 200;
    writeFileSync(counter, "0");
    const script = `import { FileLock } from ${JSON.stringify(library)};
      import { readFileSync, writeFileSync } from "node:fs";
      import { once } from "node:events";
      console.log("ready");
      await once(process.stdin, "data");
      for (let done = 0; done < ${steps}; ) {
        const lock = FileLock.take(${JSON.stringify(path)});
        if (!lock) continue;
        writeFileSync(${JSON.stringify(counter)}, String(Number(readFileSync(${JSON.stringify(counter)}, "utf8")) + 1));
        lock.release();
        done++;
      }
      process.exit();`;
    const children = [1, 2, 3].map(() =>
      spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    await Promise.all(children.map((child) => once(child.stdout, "data")));
    for (const child of children) child.stdin.write("go");
    await Promise.all(children.map((child) => once(child, "exit")));
    expect(readFileSync(counter, "utf8")).toBe(String(steps * children.length));
  });
});

describe("a socket's peer", () => {
  it("is this process, when it talks to itself", async () => {
    const path = join(folder, "socket");
    const server = createServer().listen(path);
    await once(server, "listening");
    const client = connect(path);
    const [accepted] = (await once(server, "connection")) as [Socket];
    const me = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
    const descriptor = (accepted as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
    expect(peerCredentials(descriptor)).toEqual(me);
    client.destroy();
    accepted.destroy();
    server.close();
  });

  it("cannot be told of what is no socket", () => {
    const file = fresh();
    writeFileSync(file, "");
    expect(failure(() => peerCredentials(openSync(file, "r")))).toMatchObject({ code: "ENOTSOCK" });
  });
});
