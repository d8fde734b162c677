import { expect, it } from "vitest";
import { summaryLines } from "../../../src/cli/report-lines.js";
import type { Manifest } from "../../../src/report/schema.js";

const had = { milliseconds: 3, bytes: 10, truncated: false };

const manifest: Manifest = {
  ...{
    format: 1,
    xgw: "1.0.0",
    node: "v20.19.0",
    libbpf: "v1.7",
    createdAt: "2026-12-01T00:00:00.000Z",
    redacted: false,
  },
  parts: [
    { ...had, file: "xgw/status.txt", source: "xgw status", exitCode: 0 },
    { ...had, file: "xgw/plan.txt", source: "xgw plan", exitCode: 1 },
    { ...had, file: "xgw/prog.json", source: "xgw prog show -p", exitCode: 4 },
    { ...had, file: "network/nft.txt", source: "nft list ruleset", truncated: true },
    { ...had, source: "journalctl -u xgw", error: "journalctl is not installed" },
    { ...had, source: "ip vrf show", exitCode: 0 },
    { ...had, source: "ethtool -g eth0", exitCode: 76, stderr: "netlink error: Operation not supported\n" },
  ],
};

it("says what is in a report, what is not whole, what failed and what is not there", () => {
  expect(`${summaryLines("/root/gw1.tar.gz", manifest).join("\n")}\n`).toBe(`\
/root/gw1.tar.gz: 4 files (xgw 3, network 1), as they are
not whole, for there is more than a report holds:
  nft list ruleset
failed, as the file says:
  xgw prog show -p: exit code 4
could not be collected, or is empty:
  journalctl -u xgw: journalctl is not installed
  ip vrf show: empty
  ethtool -g eth0: netlink error: Operation not supported
`);
});
