import { describe, expect, it } from "vitest";
import { forwardsBeside } from "../../../src/tenant/nat.js";

const forward = (from: number, to: number, toPort: number, host = "10.0.0.8") => ({
  ...{ address: "2.2.2.50", protocol: "tcp", port: { from, to }, to: host, toPort },
});
const ports = (wanted: Parameters<typeof forwardsBeside>[0], found: Parameters<typeof forwardsBeside>[1]) =>
  forwardsBeside(wanted, found).map(({ port, toPort, isInKernel, isInConfig }) => [
    `${port.from}-${port.to} > ${toPort}`,
    isInKernel,
    isInConfig,
  ]);

describe("port forwards", () => {
  it("of the config are there when each of their ports is an element", () => {
    const elements = [forward(8000, 8000, 80), forward(8001, 8001, 81)];
    expect(ports([forward(8000, 8001, 80)], elements)).toEqual([["8000-8001 > 80", true, true]]);
  });

  it("of the config are not there when one port is not", () => {
    expect(ports([forward(8000, 8001, 80)], [forward(8000, 8000, 80)])).toEqual([["8000-8001 > 80", false, true]]);
  });

  it("are not there when they lead elsewhere, and the other is shown, too", () => {
    expect(ports([forward(22, 22, 22)], [forward(22, 22, 2222)])).toEqual([
      ["22-22 > 22", false, true],
      ["22-22 > 2222", true, false],
    ]);
  });

  it("that nobody can compare are ranges where their ports are neighbours at both ends", () => {
    const elements = [forward(8001, 8001, 81), forward(8000, 8000, 80), forward(8002, 8002, 90)];
    expect(ports(undefined, elements)).toEqual([
      ["8000-8001 > 80", true, undefined],
      ["8002-8002 > 90", true, undefined],
    ]);
  });

  it("to different hosts are no range", () => {
    expect(ports(undefined, [forward(80, 80, 80), forward(81, 81, 81, "10.0.0.9")])).toHaveLength(2);
  });
});
