// How the daemon is asked, by whom, and who may not answer for it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { InstanceClaim } from "../../../src/daemon/instance-claim.js";
import { DaemonRecord } from "../../../src/daemon/record.js";
import { type Answering, answerAs, askDaemon, askDaemonOf, findDaemon } from "../../../src/daemon-socket.js";
import { BusyError, ForeignError } from "../../../src/errors.js";

const nobody = 65534;
const folder = mkdtempSync(join(tmpdir(), "xgw-socket-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "xgw.yaml");
writeFileSync(file, "");
const report = () => new DaemonRecord().report();

let runs = 0;
let directory = "";
beforeEach(() => {
  directory = join(folder, `run${++runs}`);
});
const answers: Answering[] = [];
const children: ChildProcess[] = [];
afterEach(() => {
  for (const answering of answers.splice(0)) answering.close();
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
async function answer(configFile = file, what = report): Promise<Answering> {
  const answering = await answerAs(configFile, what, directory);
  answers.push(answering);
  return answering;
}
const socketFile = () => join(directory, readdirSync(directory).find((name) => name.endsWith(".sock")) ?? "");

/** A process that runs some code with the path of the daemon's socket. */
async function other(code: string, options = {}): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
    ...options,
  });
  children.push(child);
  const [data] = (await once(child.stdout as NonNullable<typeof child.stdout>, "data")) as [Buffer];
  return { child, line: data.toString().trim() };
}

describe("a daemon that is looked for", () => {
  it("is none where there was never one, and none again once it has ended", async () => {
    expect(await findDaemon(file, "gw1", directory)).toEqual({ state: "none" });
    (await answer()).close();
    expect(await findDaemon(file, "gw1", directory)).toEqual({ state: "none" });
  });

  it("answers with its report", async () => {
    await answer();
    expect(await findDaemon(file, "gw1", directory)).toMatchObject({ state: "answers", report: { pid: process.pid } });
  });

  it("is busy, and named, where it has the lock and gives no answer", async () => {
    await answer();
    rmSync(socketFile());
    expect(await findDaemon(file, "gw1", directory)).toEqual({
      state: "busy",
      holder: `process ${process.pid} (xgw run)`,
    });
  });

  it("is busy, too, where it has the instance by another file", async () => {
    const claim = new InstanceClaim(directory);
    claim.claim("gw1");
    expect(await findDaemon(file, "gw1", directory)).toMatchObject({ state: "busy" });
    expect(await findDaemon(file, "gw2", directory)).toEqual({ state: "none" });
    claim.release();
  });
});

describe("the daemon's socket", () => {
  it("answers whoever asks by the config's file", async () => {
    const record = new DaemonRecord();
    await answer(file, () => record.report());
    expect(await askDaemon(file, directory)).toEqual(record.report());
  });

  it("is silent when there is no daemon", async () => {
    await answer();
    expect(await askDaemon(join(folder, "other.yaml"), directory)).toBeUndefined();
    expect(await askDaemon(file, join(folder, "nowhere"))).toBeUndefined();
  });

  it("refuses a second daemon with the same config, and says which the first one is", async () => {
    await answer();
    const second = answerAs(file, report, directory);
    await expect(second).rejects.toThrow(BusyError);
    await expect(second).rejects.toThrow(`process ${process.pid} (xgw run)`);
    expect(await askDaemon(file, directory)).toBeDefined();
  });

  it("leaves nothing behind", async () => {
    (await answer()).close();
    expect(readdirSync(directory)).toEqual([]);
  });

  it("takes the place of a daemon that was killed", async () => {
    const module = new URL("../../../dist/src/daemon-socket.js", import.meta.url).href;
    const { child, line } = await other(`import { answerAs } from ${JSON.stringify(module)};
      await answerAs(${JSON.stringify(file)}, () => ({ pid: process.pid }), ${JSON.stringify(directory)});
      console.log("answering");
      setTimeout(() => {}, 60_000);`);
    expect(line).toBe("answering");
    expect(await askDaemon(file, directory)).toEqual({ pid: child.pid });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(existsSync(socketFile())).toBe(true);
    await answer();
    expect(await askDaemon(file, directory)).toMatchObject({ pid: process.pid });
  });

  it("is found, and keeps a second daemon away, when a link to the config is switched", async () => {
    for (const release of ["1", "2"]) {
      mkdirSync(join(folder, `release${release}`));
      writeFileSync(join(folder, `release${release}`, "xgw.yaml"), "");
    }
    const [current, next] = [join(folder, "current"), join(folder, "next")];
    symlinkSync("release1", current);
    const linked = join(current, "xgw.yaml");
    await answer(linked);
    symlinkSync("release2", next);
    renameSync(next, current);
    expect(await askDaemon(linked, directory)).toBeDefined();
    await expect(answerAs(linked, report, directory)).rejects.toThrow(BusyError);
  });
});

describe("the daemon of an instance", () => {
  const reportOf = (instance: string) => () => ({ ...report(), instance });

  it("is found by who knows its config by another name", async () => {
    await answer(file, reportOf("gw1"));
    await answer(join(folder, "other.yaml"), reportOf("gw2"));
    expect((await askDaemonOf("gw2", directory))?.instance).toBe("gw2");
  });

  it("is nobody where only others have a daemon", async () => {
    await answer(file, reportOf("gw1"));
    await answer(join(folder, "other.yaml"), report);
    expect(await askDaemonOf("gw2", directory)).toBeUndefined();
    expect(await askDaemonOf("gw2", join(folder, "nowhere"))).toBeUndefined();
  });

  it("is found beside the socket of a dead one", async () => {
    (await answer()).close();
    await answer(file, reportOf("gw1"));
    writeFileSync(socketFile().replace(/[0-9a-f]{16}\.sock$/, "0123456789abcdef.sock"), "");
    expect((await askDaemonOf("gw1", directory))?.instance).toBe("gw1");
  });
});

describe("who may ask and answer", () => {
  it("another user gets no answer, even where it gets at the socket", async () => {
    await answer();
    chmodSync(directory, 0o755);
    chmodSync(folder, 0o755);
    chmodSync(socketFile(), 0o777);
    const { line } = await other(
      `import { connect } from "node:net";
      let told = 0;
      connect(${JSON.stringify(socketFile())}).on("data", (data) => { told += data.length; })
        .on("error", () => {}).on("close", () => console.log("told " + told));`,
      { uid: nobody, gid: nobody },
    );
    expect(line).toBe("told 0");
  });

  it("another user's answer is not believed", async () => {
    (await answer()).close();
    const real = await answer();
    const path = socketFile();
    real.close();
    chownSync(directory, nobody, nobody); // while it makes its socket
    await other(
      `import { createServer } from "node:net";
      createServer((socket) => socket.end('{"pid":1}')).listen(${JSON.stringify(path)}, () => console.log("listening"));`,
      { uid: nobody, gid: nobody },
    );
    await expect(askDaemon(file, directory)).rejects.toThrow(ForeignError);
    chownSync(directory, 0, 0);
    expect(await askDaemon(file, directory)).toBeUndefined();
  });

  it("an answer without an end is given up", async () => {
    const real = await answer();
    const path = socketFile();
    real.close();
    const endless = createServer((socket) => {
      socket.on("error", () => {});
      const more = () => {
        while (socket.write(Buffer.alloc(65_536, " ")));
        socket.once("drain", more);
      };
      more();
    }).listen(path);
    await once(endless, "listening");
    expect(await askDaemon(file, directory)).toBeUndefined();
    endless.close();
  });

  it("who asks and does not listen is cut off", async () => {
    await answer(file, () => ({ ...report(), repairs: { ["x".repeat(4_000_000)]: 1 } }));
    const deaf = connect(socketFile()).pause();
    await new Promise((done) => setTimeout(done, 3000));
    let told = 0;
    deaf.on("data", (data) => {
      told += data.length;
    });
    await once(deaf.resume(), "close");
    expect(told).toBeLessThan(4_000_000);
  });
});
