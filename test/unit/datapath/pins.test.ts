// Where things are pinned. That pins are made and removed is tested with the programs.
import { describe, expect, it } from "vitest";
import { Pins } from "../../../src/datapath/pins.js";

describe("an instance's pins", () => {
  const pins = new Pins("gw1");

  it("lie in a folder of its own", () => expect(pins.root).toBe("/sys/fs/bpf/xgw/gw1"));

  it("of maps, programs and attachments are apart", () => {
    expect([pins.map("flows"), pins.program("f00df00df00d", "xgw_xdp"), pins.link("xdp_eth0")]).toEqual([
      "/sys/fs/bpf/xgw/gw1/maps/flows",
      "/sys/fs/bpf/xgw/gw1/progs/f00df00df00d/xgw_xdp",
      "/sys/fs/bpf/xgw/gw1/links/xdp_eth0",
    ]);
  });

  it("are none before the first apply", () => {
    const never = new Pins("no-such-instance");
    expect([never.fingerprints(), never.programs("f00d"), never.links(), never.hasMap("flows")]).toEqual([
      [],
      [],
      [],
      false,
    ]);
  });
});
