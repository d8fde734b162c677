import { describe, expect, it } from "vitest";
import { frameOfCapture, frameOfHex } from "../../../src/explain/capture.js";
import { pcapngOf, pcapOf } from "./fixture.js";

const frames = [Buffer.alloc(60, 1), Buffer.alloc(61, 2), Buffer.alloc(62, 3)];

describe.each(["LE", "BE"] as const)("a file written by a machine of byte order %s", (order) => {
  it.each([
    ["pcap", pcapOf(frames, order)],
    ["pcapng", pcapngOf(frames, order)],
    ["pcapng with several interfaces", pcapngOf(frames, order, [101, 1])],
  ])("%s has its frames by their numbers", (_, file) => {
    expect([1, 2, 3].map((n) => frameOfCapture(file, n))).toEqual(frames);
  });
});

describe("is refused:", () => {
  it.each([
    ["a frame that there is not", () => frameOfCapture(pcapOf(frames), 4), "has 3 frames, and no frame 4"],
    ["a number that is none", () => frameOfCapture(pcapOf(frames), 0), "--frame 0 cannot be"],
    [
      "a capture of no Ethernet",
      () => frameOfCapture(pcapOf(frames, "LE", 113), 1),
      "no Ethernet header (link type 113)",
    ],
    ["a frame of which a part was kept", () => frameOfCapture(pcapOf(frames, "LE", 1, 40), 1), "cut to 40 of 60 bytes"],
    ["a file that is none", () => frameOfCapture(Buffer.alloc(100), 1), "neither pcap nor pcapng"],
    ["half a byte", () => frameOfHex("abc"), "pairs of hex digits"],
  ])("%s", (_, read, said) => {
    expect(read).toThrow(said);
  });

  it("nothing of a file that ends in the middle of a record but that record", () => {
    const file = pcapngOf(frames);
    expect(frameOfCapture(file.subarray(0, -10), 2)).toEqual(frames[1]);
    expect(() => frameOfCapture(file.subarray(0, -10), 3)).toThrow("has 2 frames");
  });
});

it("hex may have colons and spaces", () => {
  expect(frameOfHex("02:00 ff\n0a")).toEqual(Buffer.from([2, 0, 255, 10]));
});
