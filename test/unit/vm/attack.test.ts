// The attack's own parts: what the adversary sends says who sent it, and the oracle sees what must not be.
import { describe, expect, it } from "vitest";
import { drawSent, type Living } from "../../../vm/attack/adversary.js";
import { noncesIn } from "../../../vm/attack/nonce.js";
import { drawSite, outsiders } from "../../../vm/attack/site.js";
import { stream } from "../../../vm/frames/stream.js";

const site = drawSite(stream(1, "attacked site"));
const living = site.hosts.map(
  ({ key, way, address }): Living => ({
    key,
    way,
    tuple: { protocol: 17, src: address, sport: 40000, dst: outsiders[0] ?? "", dport: 53 },
  }),
);

describe("what the adversary sends", () => {
  const packets = Array.from({ length: 30 }, (_, seed) => seed).flatMap((seed) =>
    Array.from({ length: 200 }, (_, n) => drawSent(site, living, { seed, number: n + 1 })),
  );

  it("says who sent it, where nothing was cut off", () => {
    const nameless = packets.filter(({ frames }) => frames.every((frame) => noncesIn(frame).length === 0));
    expect(nameless.filter(({ story }) => !/cut|fragment/.test(story)).map(({ story }) => story)).toEqual([]);
  });

  it("fits the cable", () => {
    for (const { frames, story } of packets)
      for (const { length } of frames) expect(length >= 15 && length <= 1522, `${story}: ${length} bytes`).toBe(true);
  });

  it("is the same each time", () => {
    const again = packets.map(({ seed, number }) => drawSent(site, living, { seed, number }));
    expect(again.map(({ story }) => story)).toEqual(packets.map(({ story }) => story));
  });
});
