/** The README's example: no longer than it says, compiles, and does what it says. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { failure, netNamespace, pinDirectory } from "./support/kernel.js";

const root = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
const readme = readFileSync(`${root}/native/README.md`, "utf8");
const example = /<!-- example -->\n```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";

test("the example has no more than 20 lines", () => {
  const lines = example.split("\n").filter((line) => line.trim() !== "");
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.length).toBeLessThanOrEqual(20);
});

test("the example compiles, runs on an interface, and prints what it should", async () => {
  const dir = `${root}/test/native/build/readme${process.pid}`;
  mkdirSync(dir, { recursive: true });
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(`${dir}/example.mts`, example);
  const types = ["--types", "node", "--typeRoots", `${root}/node_modules/@types`];
  const options = [
    "--ignoreConfig",
    "--strict",
    "--target",
    "es2022",
    "--lib",
    "es2023,esnext.disposable,esnext.iterator",
  ];
  const modules = ["--module", "nodenext", "--moduleResolution", "nodenext", "--skipLibCheck"];
  execFileSync(`${root}/node_modules/.bin/tsc`, [...options, ...modules, ...types, `${dir}/example.mts`], {
    stdio: "inherit",
  });
  const ns = netNamespace();
  const pin = `${pinDirectory()}/flows`;
  // A datagram to a neighbour that nobody is: the ARP request for it comes out of v1 and into v0.
  const script = `ip address add 192.0.2.1/24 dev v1
    (sleep 1; echo hello > /dev/udp/192.0.2.2/9) &
    exec node ${dir}/example.mjs ${objectFile("basic")} v0 ${pin}`;
  // Not `ip netns exec`, which hides the bpffs.
  const text = execFileSync("nsenter", [`--net=${ns.path}`, "bash", "-c", script], {
    encoding: "utf8",
    timeout: 30_000,
  });
  expect(text).toMatch(/program \d+ runs on v0 by link \d+/);
  expect(text).toContain("{ address: 167772161, port: 80, pad: 0 } { packets: 1n, bytes: 64n }");
  expect(text).toMatch(/a packet of \d+ bytes/);
});

test("the API reference is what the doc comments give today", () => {
  const check = () => execFileSync(process.execPath, [`${root}/native/docs.mjs`, "--check"], { stdio: "pipe" });
  expect(failure(check).message).toMatch(/^did not throw/);
});
