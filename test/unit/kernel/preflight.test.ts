import { describe, expect, it } from "vitest";
import { checkKernel } from "../../../src/kernel/preflight.js";

describe("a kernel that is new enough", () => {
  for (const version of ["6.12.0", "6.12.12+bpo-amd64", "6.18-rc1", "7.2.1", "10.0.0"])
    it(version, () => expect(() => checkKernel(version)).not.toThrow());
});

describe("a kernel that is too old is refused with exit code 3 and a remedy", () => {
  for (const version of ["6.11.99", "6.1.0-44-amd64", "5.15.0", "4.19.0", "6.2"])
    it(version, () => {
      expect(() => checkKernel(version)).toThrow(
        expect.objectContaining({
          code: "XGW_KERNEL",
          exitCode: 3,
          message: `Linux ${version} is too old: xgw needs 6.12 or later`,
          remedy: expect.stringContaining("bookworm-backports"),
        }),
      );
    });
});
