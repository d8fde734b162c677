import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { encodeJob, passedEnv, quote } from "../../../vm/job.js";

const job = { command: ["true"], cwd: "/", env: {}, modules: "/m", share: undefined };

describe("the job line", () => {
  it("is one line", () => {
    const line = encodeJob({ ...job, command: ["printf", "a\nb"], env: { A: "x\ny" } });
    expect(line.indexOf("\n")).toBe(line.length - 1);
  });

  it("holds the settings as shell assignments", () => {
    const script = Buffer.from(encodeJob({ ...job, modules: "/it's", share: "/a b" }), "base64").toString();
    const printed = execFileSync("sh", [
      "-c",
      `${script.replace(/^printf.*\n(.*\n)*/m, "")}echo "$modules|$share|$interactive"`,
    ]);
    expect(printed.toString()).toBe("/it's|/a b|0\n");
  });
});

describe("quote", () => {
  it.each(["plain", "two words", "it's", '"', "$HOME `id` \\", "line\nline", "", "ünï"])(
    "keeps %j one word",
    (word) => {
      expect(execFileSync("sh", ["-c", `printf %s ${quote(word)}`]).toString()).toBe(word);
    },
  );
});

describe("the environment", () => {
  it("lets through what a command needs to act alike, and no more", () => {
    const env = { PATH: "/bin", HOME: "/root", XGW_X: "1", LC_ALL: "C", SSH_AUTH_SOCK: "/s", MY_TOKEN: "t" };
    expect(passedEnv(env)).toEqual({ PATH: "/bin", HOME: "/root", XGW_X: "1", LC_ALL: "C" });
  });
});
