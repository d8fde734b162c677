// What a redacted report keeps and what it does not.
import { describe, expect, it } from "vitest";
import { withoutComments } from "../../../src/report/comments.js";
import { namesIn } from "../../../src/report/names.js";
import { Redactor } from "../../../src/report/redact.js";

const redactor = (...names: string[]) => new Redactor(names.map((name) => ({ name, kind: "tenant" })));
const bits = (address: string) => Buffer.from(address.split(".").map(Number)).readUInt32BE();
const common = (a: string, b: string) => Math.clz32(bits(a) ^ bits(b));

describe("addresses", () => {
  it("have the same stand-in wherever they are", () => {
    const [first, second, third] =
      redactor()
        .text("10.0.0.7 via=10.0.0.7:22, [10.0.0.7]")
        .match(/\d+(\.\d+){3}/g) ?? [];
    expect([second, third]).toEqual([first, first]);
    expect(first).not.toBe("10.0.0.7");
  });

  it("have as many leading bits in common as the originals", () => {
    const originals = Array.from({ length: 60 }, (_, n) => `10.${n % 3}.${n * 4}.${n}`);
    const standIns = redactor().text(originals.join(" ")).split(" ");
    for (const [n, a] of originals.entries())
      for (const [m, b] of originals.entries())
        expect(common(standIns[n] ?? "", standIns[m] ?? ""), `${a} ${b}`).toBe(common(a, b));
  });

  it("of a network have no host bits, and lie in front of those of its hosts", () => {
    const [network = "", host = ""] = redactor().text("192.168.4.0/22 192.168.7.9").split(" ");
    const [address = "", length] = network.split("/");
    expect([length, bits(address) & 0x3ff]).toEqual(["22", 0]);
    expect(common(address, host)).toBeGreaterThanOrEqual(22);
  });

  it("of an interface keep their host bits", () => {
    const [alone = "", withLength] = redactor().text("10.0.0.1 10.0.0.1/24").split(" ");
    expect(withLength).toBe(`${alone}/24`);
  });

  it("of IPv6 are replaced however they are written", () => {
    const [first, second] = redactor().text("2001:db8::1 2001:0db8:0:0::0001").split(" ");
    expect(second).toBe(first);
    expect(first).not.toContain("2001:db8");
  });

  it("of links are replaced by local ones", () => {
    expect(redactor().text("link/ether 3c:ec:ef:01:02:03 brd ff:ff:ff:ff:ff:ff")).toMatch(
      /^link\/ether (?!3c:ec)[0-9a-f][26ae](:[0-9a-f]{2}){5} brd ff:ff:ff:ff:ff:ff$/,
    );
  });

  it.each([
    "0.0.0.0/0",
    "127.0.0.1/8",
    "127.0.0.0/8",
    "255.255.255.0",
    "::1/128",
    "::/0",
    "fe80::/64",
    "12:34:56",
    "1.2.3",
    "300.1.2.3",
  ])("that say nothing of anybody, or are none, stay: %s", (text) => {
    expect(redactor().text(text)).toBe(text);
  });

  it("have other stand-ins in another report", () => {
    const text = "10.1.2.3 10.4.5.6 172.16.7.8 2001:db8::7";
    expect(redactor().text(text)).not.toBe(redactor().text(text));
  });
});

describe("names", () => {
  it("are found in pins, settings and prose, and not in longer words", () => {
    const text = redactor("eth0").text("xdp_eth0 net.ipv4.conf.eth0.rp_filter eth0: eth01 veth0");
    expect(text).toBe("xdp_tenant1 net.ipv4.conf.tenant1.rp_filter tenant1: eth01 veth0");
  });

  it("that begin alike are told apart", () => {
    const [long, short] = redactor("shop", "shop-eu.de").text("shop-eu.de shop").split(" ");
    expect([long, short].sort()).toEqual(["tenant1", "tenant2"]);
  });

  it("never get the name of another as a stand-in", () => {
    expect(redactor("tenant1").text("tenant1")).toBe("tenant2");
  });

  it("that are numbers are replaced in strings of JSON, and no numbers are", () => {
    const redacted = redactor("7").file('{"tenant":"7","packets":7,"7":[7]}');
    expect(JSON.parse(redacted)).toEqual({ tenant: "tenant1", packets: 7, tenant1: [7] });
  });

  it("that are left are found", () => {
    expect(redactor("shop", "eth0").leaks("tenant shop on eth1")).toEqual(["shop"]);
  });

  it("of a config that is refused are known, whatever its style", () => {
    const configs = new Map([
      ["/etc/xgw/xgw.yaml", "instance: gwx\nnics: [{ name: ens1, xdp: [ }]\nunderlay: { \"device\": 'bond7'"],
      ["/etc/xgw/tenants.d/10-acme.yaml", "- name: &n acme\n"],
    ]);
    const names = namesIn({ configs, links: [], shownLinks: "    altname enp3s0\n" }).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["gwx", "ens1", "bond7", "acme", "10-acme", "enp3s0"]));
  });
});

describe("a config's text", () => {
  it("loses its comments, and nothing else", () => {
    const text = 'a: 1 # of Mr Smith\n# call him\nb: "# no comment"\nc: |\n  # nor this\nd: x#y\n';
    expect(withoutComments(text)).toBe('a: 1 \n\nb: "# no comment"\nc: |\n  # nor this\nd: x#y\n');
  });
});
