import { describe, expect, it } from "vitest";
import {
  formatAddress,
  formatPrefix,
  networkOf,
  parseAddress,
  parsePrefix,
  prefixContains,
  rangeOf,
  whyNotUnicast,
} from "../../../src/model/ipv4.js";

describe("addresses", () => {
  it.each([
    ["0.0.0.0", 0],
    ["10.0.0.7", 0x0a00_0007],
    ["128.0.0.1", 0x8000_0001],
    ["255.255.255.255", 0xffff_ffff],
  ])("%s is read and written as it was", (text, number) => {
    expect([parseAddress(text), formatAddress(number)]).toEqual([number, text]);
  });

  it.each([
    "",
    "10.0.0",
    "10.0.0.0.1",
    "10.0.0.256",
    "10.0.0.07",
    "10.0.0.x",
    " 10.0.0.7",
    "10.0.0.-1",
    "1e1.0.0.0",
    "::1",
  ])("%j is none", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it.each([
    ["0.1.2.3", /no host/],
    ["127.0.0.1", /loopback/],
    ["224.0.0.5", /multicast/],
    ["240.0.0.1", /reserved/],
    ["255.255.255.255", /broadcast/],
  ])("%s is no host's", (text, why) => {
    expect(whyNotUnicast(parseAddress(text) as number)).toMatch(why);
  });
});

describe("prefixes", () => {
  it.each(["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0/8", "/8", "10.0.0.0/-1"])(
    "%j is none",
    (text) => {
      expect(parsePrefix(text)).toBeUndefined();
    },
  );

  it.each([
    ["0.0.0.0/0", 0, 0xffff_ffff],
    ["128.0.0.0/1", 0x8000_0000, 0xffff_ffff],
    ["10.1.2.3/8", 0x0a00_0000, 0x0aff_ffff],
    ["10.0.0.7/32", 0x0a00_0007, 0x0a00_0007],
  ])("%s reaches from its first to its last address", (text, from, to) => {
    expect(rangeOf(parsePrefix(text) ?? { address: -1, length: 0 })).toEqual({ from, to });
  });

  it("lose their host bits as a network", () => {
    expect(formatPrefix(networkOf(parsePrefix("192.168.77.9/20") ?? { address: 0, length: 0 }))).toBe(
      "192.168.64.0/20",
    );
  });

  it("contain their edges, and not what lies beside them", () => {
    const prefix = parsePrefix("10.0.1.0/24") ?? { address: 0, length: 0 };
    const seen = ["10.0.0.255", "10.0.1.0", "10.0.1.255", "10.0.2.0"].map((text) =>
      prefixContains(prefix, parseAddress(text) as number),
    );
    expect(seen).toEqual([false, true, true, false]);
  });
});
