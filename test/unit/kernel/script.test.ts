// What is told of a script that ip or nft did not take, from the words that they have for it.
import { expect, it } from "vitest";
import { batchError } from "../../../src/kernel/ip.js";
import { nftError } from "../../../src/kernel/nft.js";
import { runScript } from "../../../src/kernel/script.js";

const lines = ["link set dev xgre1 up", "addr replace 10.0.0.1/24 dev xgre1000"];

it.each([
  [
    'Cannot find device "xgre1000"\nCommand failed -:2\n',
    'ip addr replace 10.0.0.1/24 dev xgre1000: Cannot find device "xgre1000"',
  ],
  ["RTNETLINK answers: File exists\nCommand failed -:1\n", "ip link set dev xgre1 up: File exists"],
  ["Error: argument is wrong.\nCommand failed -:1\n", "ip link set dev xgre1 up: argument is wrong."],
  ["killed by nobody\n", "ip -batch: killed by nobody"],
])("ip: %j", (said, message) => {
  expect(batchError(said, lines)).toMatchObject({ message, remedy: expect.stringMatching(/something else/) });
});

it("nft: what is wrong, and the command, however long", () => {
  const command = `add flowtable ip xgw_gw1 fastpath0 { hook ingress priority filter; devices = { ${'"xgre1", '.repeat(100)} }`;
  const said = `/dev/stdin:5:1-20: Error: Could not process rule: No such file or directory\n${command}\n^^^^\n`;
  const { message, remedy } = nftError(said);
  expect(message).toBe(
    `nft did not take the rules: Could not process rule: No such file or directory, at: ${command.slice(0, 200)}…`,
  );
  expect(remedy).toMatch(/something else/);
});

it("nft: what is no fault of a command has none to quote", () => {
  expect(nftError("netlink: Error: cache initialization failed: Operation not permitted\n").message).toBe(
    "nft did not take the rules: cache initialization failed: Operation not permitted",
  );
});

it("a program that is killed, or fails in another way, is told of as any other", async () => {
  const never = () => expect.fail("it did not end by itself");
  await expect(runScript("sh", ["-c", "kill -KILL $$"], "", never)).rejects.toThrow(/killed by SIGKILL/);
  await expect(runScript("sh", ["-c", "exit 7"], "", never)).rejects.toThrow(/exit code 7/);
});
