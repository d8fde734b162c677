import { beforeEach, describe, expect, it } from "vitest";
import { AddressStandIns } from "../../../src/report/addresses.js";

let standIns: AddressStandIns;
beforeEach(() => {
  standIns = new AddressStandIns("");
});
const of = (text: string) => standIns.replace(text, (between) => between);
const number = (address: string) => address.split(".").reduce((value, byte) => value * 256 + Number(byte), 0);

/** Leading bits that two addresses have in common. */
const common = (a: string, b: string) => Math.clz32((number(a) ^ number(b)) >>> 0);

describe("IPv4", () => {
  it("keeps as many leading bits in common as there were", () => {
    for (const [a, b] of [
      ["203.0.113.7", "203.0.113.6"],
      ["203.0.113.7", "203.0.113.200"],
      ["203.0.113.7", "203.0.12.7"],
      ["10.1.2.3", "10.200.2.3"],
      ["172.16.0.1", "10.0.0.1"],
      ["198.51.100.1", "9.9.9.9"],
    ] as const)
      expect([a, b, common(of(a), of(b))]).toEqual([a, b, common(a, b)]);
  });

  it("has the same stand-in wherever it is written", () => {
    const words = of("via 203.0.113.7, [203.0.113.7]:22 and x203.0.113.7/24.").match(/\d+\.\d+\.\d+\.\d+/g);
    expect(new Set(words).size).toBe(1);
  });

  it("of a network is the network of its hosts' stand-ins", () => {
    const [network = "", length] = of("203.0.113.0/24").split("/");
    expect([length, network.split(".")[3], common(network, of("203.0.113.7")) >= 24]).toEqual(["24", "0", true]);
  });

  it("as a range that is a network stays one", () => {
    expect(of("203.0.113.0-203.0.113.255")).toMatch(/^(\d+\.\d+\.\d+)\.0-\1\.255$/);
  });

  it("stands for itself where it means the same everywhere", () => {
    const text = "0.0.0.0/0 127.0.0.1 255.255.255.0 224.0.0.1 255.255.255.255";
    expect(of(text)).toBe(text);
  });

  it("gets no stand-in that means the same everywhere", () => {
    const ordinary = Array.from({ length: 223 }, (_, n) => n + 1).filter((first) => first !== 127);
    const made = ordinary.map((first) => of(`${first}.9.1.2`));
    expect(made.filter((one) => /^(0|127|22[4-9]|2[3-5]\d)\./.test(one))).toEqual([]);
  });

  it("is another one in another report", () => {
    expect(new AddressStandIns("").replace("203.0.113.7", String)).not.toBe(of("203.0.113.7"));
  });

  it("is never one of the config's, short networks too", () => {
    for (let n = 0; n < 50; n++) {
      const config = "10.0.0.0/8 10.0.0.1 203.0.113.7";
      const made = new AddressStandIns(config).replace(config, String).split(" ");
      expect(made.filter((one) => config.split(" ").includes(one))).toEqual([]);
    }
  });
});

describe("IPv6", () => {
  it("keeps its prefix in common, in whatever form it is written", () => {
    expect(of("2001:db8::1")).toBe(of("2001:0db8:0:0:0:0:0:1"));
    const [a, b] = [of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff:4:5:6")].map((one) => one.split(":").slice(0, 4));
    expect(a).toEqual(b);
  });

  it("of the link stays one of the link, and tells no MAC", () => {
    expect(of("fe80::5054:ff:fe12:3456/64")).toMatch(/^fe80::(?!5054:ff:fe12:3456)\S+\/64$/);
  });

  it("that has an IPv4 address in it has that one's stand-in in it", () => {
    expect(parseInt(of("::ffff:203.0.113.7").split(":").at(-1)?.split(".")[0] ?? "", 10)).toBe(
      Number(of("203.0.113.7").split(".")[0]),
    );
  });

  it("is no time of the day, no PCI address, and none of these", () => {
    const text = "at 12:34:56.123 0000:00:03.0 ::1 :: ff02::1 std::string";
    expect(of(text)).toBe(text);
  });
});

describe("a MAC address", () => {
  it("gets one that nobody has, whatever case it is in", () => {
    expect([of("52:54:00:12:AB:56"), of("52-54-00-12-ab-56").replaceAll("-", ":")]).toEqual([
      of("52:54:00:12:ab:56"),
      of("52:54:00:12:ab:56"),
    ]);
    expect(of("52:54:00:12:ab:56")).toMatch(/^02(:[\da-f]{2}){5}$/);
  });

  it("of nobody or of all stands for itself", () => {
    expect(of("00:00:00:00:00:00 brd ff:ff:ff:ff:ff:ff")).toBe("00:00:00:00:00:00 brd ff:ff:ff:ff:ff:ff");
  });
});
