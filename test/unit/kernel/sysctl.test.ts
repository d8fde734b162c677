// Names of settings and the files that they are; device names may have dots.
import { describe, expect, it, vi } from "vitest";
import { readSysctl, writeSysctl } from "../../../src/kernel/sysctl.js";

const files = vi.hoisted(() => new Map<string, string>());

const missing = vi.hoisted(() => () => Object.assign(new Error("no such file"), { code: "ENOENT" }));

vi.mock("node:fs", () => ({
  readFileSync: (path: string) => {
    const value = files.get(path);
    if (value === undefined) throw missing();
    if (value === "refused") throw Object.assign(new Error("refused"), { code: "EACCES" });
    return `${value}\n`;
  },
  writeFileSync: (path: string, value: string) => {
    if (!files.has(path)) throw missing();
    files.set(path, value);
  },
}));

describe("a setting's file", () => {
  for (const [name, path] of [
    ["net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"],
    ["net.netfilter.nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_max"],
    ["net.ipv4.conf.eth0.rp_filter", "/proc/sys/net/ipv4/conf/eth0/rp_filter"],
    ["net.ipv4.conf.eth0.100.rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"],
    ["net.ipv4.conf.a.b.c.rp_filter", "/proc/sys/net/ipv4/conf/a.b.c/rp_filter"],
    ["net.ipv4.conf.all.rp_filter", "/proc/sys/net/ipv4/conf/all/rp_filter"],
  ] as const)
    it(`of ${name} is ${path}`, () => {
      files.set(path, "1");
      expect(readSysctl(name)).toBe("1");
      files.delete(path);
    });
});

it("a setting that is not there has no value", () => {
  expect(readSysctl("net.ipv4.conf.gone.rp_filter")).toBeUndefined();
});

it("a setting that may not be read is an error, not a missing one", () => {
  files.set("/proc/sys/net/secret", "refused");
  expect(() => readSysctl("net.secret")).toThrow("refused");
});

it("a setting is written as it is", () => {
  files.set("/proc/sys/net/ipv4/ip_forward", "0");
  writeSysctl("net.ipv4.ip_forward", "1");
  expect(files.get("/proc/sys/net/ipv4/ip_forward")).toBe("1");
});

it("a setting that cannot be written because it is not there is the kernel's side of things", () => {
  expect(() => writeSysctl("net.netfilter.gone", "1")).toThrow(
    expect.objectContaining({ code: "XGW_KERNEL", message: "there is no setting net.netfilter.gone" }),
  );
});
