// Findings as text: what a person reads at 80 columns, and what monitoring does.
import { describe, expect, it } from "vitest";
import { asCannotTell, checkExitCode, checkLine, healthLines } from "../../../src/cli/health-lines.js";
import { ConfigError, PermissionError } from "../../../src/errors.js";
import { countFindings, type Finding, type Severity } from "../../../src/finding.js";

const finding = (severity: Severity): Finding => ({
  id: "device_down",
  severity,
  subject: "eth0",
  what: "eth0, which is the underlay, is down",
  why: "nothing comes in or goes out by it, and the kernel has dropped the routes that led there",
  evidence: "ip -br link show dev eth0; ethtool eth0",
  remedy:
    "ip link set dev eth0 up # if nobody has set it down on purpose, in which case it is to be taken out of the config",
});
const health = (...severities: Severity[]) => {
  const findings = severities.map(finding);
  return { instance: "gw1", counts: countFindings(findings), findings };
};

describe("doctor's text", () => {
  it("is what, why, the commands that show it and the one that mends it, within 80 columns", () => {
    expect(healthLines(health("critical"))).toEqual([
      "gw1: 1 critical",
      "",
      "critical: device_down",
      "  eth0, which is the underlay, is down:",
      "  nothing comes in or goes out by it, and the kernel has dropped the routes that",
      "  led there",
      "  see: ip -br link show dev eth0",
      "  see: ethtool eth0",
      "  fix: ip link set dev eth0 up",
      "     # if nobody has set it down on purpose, in which case it is to be taken out",
      "     # of the config",
    ]);
  });

  it("is one line when there is nothing", () => {
    expect(healthLines(health())).toEqual(["gw1: nothing found"]);
  });
});

describe("monitoring", () => {
  it.each([
    [[], 0, "OK gw1: nothing found"],
    [["note"], 0, "OK gw1: 1 note"],
    [["warning", "note"], 1, "WARNING gw1: 1 warning, 1 note: eth0, which is the underlay, is down (xgw doctor)"],
    [
      ["critical", "warning", "warning"],
      2,
      "CRITICAL gw1: 1 critical, 2 warnings: eth0, which is the underlay, is down (xgw doctor)",
    ],
  ] as const)("of %j ends with %i, and one line", (severities, code, line) => {
    const seen = health(...severities);
    expect([checkExitCode(seen.counts), checkLine(seen)]).toEqual([code, line]);
  });

  const codeOf = (error: Error) => {
    try {
      return asCannotTell(error);
    } catch (thrown) {
      return [(thrown as PermissionError).exitCode, (thrown as PermissionError).code];
    }
  };

  it("ends with 3 where nobody can tell, by the error's own name", () => {
    expect(codeOf(new PermissionError("no"))).toEqual([3, "XGW_PERMISSION"]);
  });

  it("ends with 2 where the config is refused", () => {
    expect(codeOf(new ConfigError([]))).toEqual([2, "XGW_CONFIG"]);
  });
});
