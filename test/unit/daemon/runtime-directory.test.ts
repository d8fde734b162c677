// Whom the directory of locks and sockets is trusted to, and what is said of one that is not to be trusted.
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ForeignError } from "../../../src/errors.js";
import { withLock } from "../../../src/lock.js";
import { checkRuntimeDirectory, prepareRuntimeDirectory, runtimeFile } from "../../../src/runtime-directory.js";

const nobody = 65534;
const folder = mkdtempSync(join(tmpdir(), "xgw-runtime-"));
afterAll(() => rmSync(folder, { recursive: true }));
let made = 0;
const fresh = () => join(folder, `run${++made}`);
const lockIn = (directory: string) =>
  withLock({ instance: "gw1", purpose: "apply", waitMs: 0, directory }, async () => "mine");

it("is made for its owner alone, whatever the umask", () => {
  const directory = fresh();
  const before = process.umask(0);
  prepareRuntimeDirectory(directory);
  process.umask(before);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
});

it("need not be there to be asked", () => {
  expect(checkRuntimeDirectory(fresh())).toBe(false);
});

describe("is refused, by name and with a remedy, where", () => {
  const refused: Readonly<Record<string, (path: string) => void>> = {
    "it belongs to user 65534": (path) => {
      mkdirSync(path);
      chownSync(path, nobody, nobody);
    },
    "it may be written by others": (path) => {
      mkdirSync(path);
      chmodSync(path, 0o777);
    },
    "it is a symbolic link": (path) => {
      mkdirSync(`${path}.target`);
      symlinkSync(`${path}.target`, path);
    },
    "it is no directory": (path) => writeFileSync(path, ""),
  };
  it.each(Object.keys(refused))("%s", async (why) => {
    const directory = fresh();
    refused[why]?.(directory);
    const taken = lockIn(directory);
    await expect(taken).rejects.toThrow(ForeignError);
    await expect(taken).rejects.toThrow(`${directory} ${why.replace("it ", "")}`);
    await expect(taken).rejects.toMatchObject({ exitCode: 5, remedy: expect.stringMatching(/^remove it/) });
  });
});

describe("a user that is not root", () => {
  const library = new URL("../../../dist/src/lock.js", import.meta.url).href;
  /** What becomes of an embedder that runs as nobody. */
  function lockAsNobody(directory: string): {
    readonly code?: string;
    readonly message?: string;
    readonly remedy?: string;
  } {
    const script = `import { withLock } from ${JSON.stringify(library)};
      const options = { instance: "gw1", purpose: "embedded", waitMs: 0, directory: ${JSON.stringify(directory)} };
      console.log(JSON.stringify(await withLock(options, async () => ({})).catch((error) => error)));`;
    // Not by Node itself, for Debian's changes no user; and the checkout may lie where only root can read.
    const user = ["--reuid", String(nobody), "--regid", String(nobody), "--clear-groups"];
    const reads = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"];
    const node = [process.execPath, "--input-type=module", "-e", script];
    const { stdout } = spawnSync("setpriv", [...user, ...reads, ...node], { encoding: "utf8", cwd: "/" });
    return JSON.parse(stdout);
  }

  it("is told whose the directory is when it cannot use it", () => {
    const directory = fresh();
    mkdirSync(directory, { mode: 0o700 });
    chmodSync(folder, 0o755);
    expect(lockAsNobody(directory)).toMatchObject({
      code: "XGW_PERMISSION",
      message: `user ${nobody} may not write to ${directory}, where xgw's locks are`,
    });
  });

  it("is told so when it cannot make the directory", () => {
    expect(lockAsNobody(fresh())).toMatchObject({
      code: "XGW_PERMISSION",
      remedy: expect.stringMatching(/^run xgw as root/),
    });
  });

  it("may have a directory of its own", () => {
    const directory = fresh();
    mkdirSync(directory, { mode: 0o700 });
    chownSync(directory, nobody, nobody);
    expect(lockAsNobody(directory)).toEqual({});
  });
});

it("names files after the network namespace, far within the bounds of a socket's path", () => {
  const path = runtimeFile("daemon-0123456789abcdef.sock");
  expect(path).toMatch(/^\/run\/xgw\/\d+\.daemon-/);
  expect(path.length).toBeLessThan(100);
});
