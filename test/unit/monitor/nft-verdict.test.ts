import { describe, expect, it } from "vitest";
import { nftVerdict } from "../../../src/monitor/nft-verdict.js";
import { deniedMark } from "../../../src/plan/rules.js";

const packet = { isTunnelled: false, device: "xvrf1000", isArriving: false, protocol: 6, mark: 0 };

describe("what nft has dropped", () => {
  it("in a tunnel's packet was no peer's", () => {
    expect(nftVerdict({ ...packet, isTunnelled: true, device: "eth0", isArriving: true })).toBe("stranger");
  });

  it("as it came out of a tunnel had a source that is somebody else's", () => {
    expect(nftVerdict({ ...packet, device: "xgre1000", isArriving: true })).toBe("spoofed");
  });

  it("on its way into a tunnel may have been one of several rules", () => {
    expect(nftVerdict({ ...packet, device: "xgre1000" })).toBe(undefined);
  });

  it("by a rule that denies was the policy's", () => {
    expect(nftVerdict({ ...packet, mark: deniedMark + 1 })).toBe("policy");
  });

  it("of a connection that a rule admits was not the policy's", () => {
    expect(nftVerdict({ ...packet, mark: 1 })).toBe(undefined);
  });

  it("in a VRF, of TCP, no rule has admitted", () => {
    expect(nftVerdict(packet)).toBe("unadmitted");
  });

  it("in a VRF, of another protocol, may have been for the gateway", () => {
    expect(nftVerdict({ ...packet, protocol: 89 })).toBe(undefined);
  });
});
